with quarters as (
    select operating_day, to_timestamp(epoch_us(interval_start) // 1000000 + part * 900) as interval_start
    from {{ source('calendar', 'hours') }}
    cross join (values (0), (1), (2), (3)) as parts (part)
    where operator = 'miso' and {{ in_days('operating_day') }}
),

prices as (
    {{ seam_prices(900) }}
),

forecasts as (
    select interval_start, arg_max(lmp, published_at) as lmp
    from ({{ seam_forecasts() }})
    where forecast = 'miso_cts' and {{ in_time() }}
    group by interval_start
),

schedules as (
    select {{ begins('interval_start', 900) }} as interval_start, {{ mean('interchange') }} as mw
    from {{ source('market', 'miso_interchange') }}
    where neighbour = 'PJM'
    group by all
    having count(interchange) = 3
),

binding as (
    select
        {{ begins('interval_start', 900) }} as interval_start,
        count(distinct constraint_name) filter (constraint_name != 'None') as constraints,
        arg_max(constraint_name, (abs(shadow_price), constraint_name))
            filter (constraint_name != 'None') as top_constraint,
        arg_max(shadow_price, (abs(shadow_price), constraint_name))
            filter (constraint_name != 'None') as top_shadow_price
    from {{ source('market', 'miso_constraints') }}
    group by all
),

spreads as (
    select
        quarters.operating_day,
        quarters.interval_start,
        miso.lmp as miso_lmp,
        forecasts.lmp as pjm_forecast_lmp,
        pjm.lmp as pjm_lmp,
        pjm.finality as pjm_finality,
        {{ difference('miso.lmp', 'forecasts.lmp') }} as spread_forecast,
        {{ difference('miso.lmp', 'pjm.lmp') }} as spread_realized,
        schedules.mw as scheduled_interchange,
        case
            when schedules.mw > 0 then 'MISO_TO_PJM'
            when schedules.mw < 0 then 'PJM_TO_MISO'
        end as scheduled_direction,
        miso.congestion as miso_congestion,
        pjm.congestion as pjm_congestion,
        binding.constraints as binding_constraints,
        binding.top_constraint,
        binding.top_shadow_price
    from quarters
    left join prices as miso on miso.side = 'miso' and miso.interval_start = quarters.interval_start
    left join prices as pjm on pjm.side = 'pjm' and pjm.interval_start = quarters.interval_start
    left join forecasts on forecasts.interval_start = quarters.interval_start
    left join schedules on schedules.interval_start = quarters.interval_start
    left join binding on binding.interval_start = quarters.interval_start
),

directed as (
    select
        *,
        case
            when spread_realized > {{ var('cts_fee', 0) }} then 'PJM_TO_MISO'
            when spread_realized < -{{ var('cts_fee', 0) }} then 'MISO_TO_PJM'
        end as paying_direction
    from spreads
)

select
    operating_day,
    interval_start,
    miso_lmp,
    pjm_forecast_lmp,
    pjm_lmp,
    pjm_finality,
    spread_forecast,
    spread_realized,
    scheduled_interchange,
    scheduled_direction,
    paying_direction,
    scheduled_direction = paying_direction as with_the_price,
    miso_congestion,
    pjm_congestion,
    binding_constraints,
    top_constraint,
    top_shadow_price
from directed
where coalesce(miso_lmp, pjm_forecast_lmp, pjm_lmp, scheduled_interchange, binding_constraints) is not null
