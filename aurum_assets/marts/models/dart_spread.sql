select
    da.operating_day,
    operator,
    location_id,
    interval_start,
    da.location_name,
    da.location_type,
    da.lmp as da_lmp,
    rt.lmp as rt_lmp,
    rt.finality as rt_finality,
    rt.rt_from,
    {{ difference('da.lmp', 'rt.lmp') }} as dart_lmp,
    {{ difference('da.energy', 'rt.energy') }} as dart_energy,
    {{ difference('da.congestion', 'rt.congestion') }} as dart_congestion,
    {{ difference('da.loss', 'rt.loss') }} as dart_loss
from ({{ day_ahead() }}) as da
join ({{ real_time() }}) as rt using (operator, location_id, interval_start)
