{% set shown = ('hub', 'zone', 'interface') %}
with da as (
    select * from ({{ day_ahead() }}) where location_type in {{ shown }}
),

rt as (
    select * from ({{ real_time_hourly() }}) where location_type in {{ shown }}
),

five as (
    {{ hours_of_five_minutes(shown) }}
)

select
    hours.operating_day,
    operator,
    location_id,
    interval_start,
    hours.interval_end,
    hours.hour_ending,
    hours.on_peak,
    coalesce(da.location_name, rt.location_name, five.location_name) as location_name,
    coalesce(da.location_type, rt.location_type, five.location_type) as location_type,
    da.lmp as da_lmp,
    rt.lmp as rt_lmp,
    coalesce(rt.finality, five.finality) as rt_finality,
    five.lmp as rt_mean_lmp,
    coalesce(five.intervals, 0) as rt_intervals
from da
full join rt using (operator, location_id, interval_start)
full join five using (operator, location_id, interval_start)
join {{ source('calendar', 'hours') }} as hours using (operator, interval_start)
