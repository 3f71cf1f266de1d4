with days as (
    select
        operator, operating_day, count(*) as hours, min(interval_start) as begins,
        max(interval_end) as ends
    from {{ source('calendar', 'hours') }}
    group by operator, operating_day
),

prices as (
    select
        *,
        coalesce(rt_lmp, case when rt_intervals = 12 then rt_mean_lmp end) as rt
    from {{ ref('hub_prices') }}
    where {{ in_days('operating_day') }}
),

main as (
    select
        prices.operator,
        prices.operating_day,
        coalesce(
            max(location_id) filter (location_id = main_location),
            min(location_id) filter (location_type = 'hub')
        ) as location_id
    from prices
    left join {{ source('calendar', 'operators') }} as operators using (operator)
    group by prices.operator, prices.operating_day
),

averages as (
    select
        operator,
        operating_day,
        location_id as main_location,
        {{ mean('da_lmp', 'on_peak') }} as on_peak_da_lmp,
        {{ mean('da_lmp', 'not on_peak') }} as off_peak_da_lmp,
        {{ mean('rt', 'on_peak') }} as on_peak_rt_lmp,
        {{ mean('rt', 'not on_peak') }} as off_peak_rt_lmp,
        count(*) filter (rt < 0) as negative_hours,
        count(*) filter (rt >= {{ var('scarcity_price', 1000) }}) as scarcity_hours,
        count(da_lmp) as da_hours,
        sum(rt_intervals) as rt_intervals
    from prices
    join main using (operator, operating_day, location_id)
    group by operator, operating_day, location_id
),

ranked as (
    select
        operator, operating_day, location_name, interval_start, rt,
        row_number() over (
            partition by operator, operating_day order by rt desc, interval_start, location_id
        ) as from_above,
        row_number() over (
            partition by operator, operating_day order by rt, interval_start, location_id
        ) as from_below
    from prices
    where rt is not null
),

congested as (
    select
        operator, operating_day, location_id, max(location_name) as name,
        {{ mean('congestion') }} as mean_congestion
    from ({{ real_time() }})
    group by operator, operating_day, location_id
    having count(congestion) > 0
    qualify row_number() over (
        partition by operator, operating_day order by abs(mean_congestion) desc, location_id
    ) <= 5
),

listed as (
    select
        operator, operating_day,
        string_agg(
            name || ' ' || format('{:+.2f}', mean_congestion), '; '
            order by abs(mean_congestion) desc, location_id
        ) as top_congested
    from congested
    where abs(mean_congestion) >= 0.005
    group by operator, operating_day
),

loads as (
    select
        operator, operating_day, max(load) as peak_load,
        arg_max(interval_start, (load, -epoch_us(interval_start))) as peak_load_at,
        count(*) as load_hours
    from ({{ actual_load() }})
    where region = 'system'
    group by operator, operating_day
),

corrections as (
    select days.operator, days.operating_day, cast(sum(corrected) as bigint) as corrections
    from days
    join ({{ superseded() }}) as superseded
        on superseded.operator = days.operator
        and superseded.operating_day between days.operating_day - 1 and days.operating_day
        and superseded.superseded_at < days.ends
    join days as before
        on before.operator = days.operator
        and before.operating_day = days.operating_day - 1
        and superseded.superseded_at >= before.begins
    group by days.operator, days.operating_day
)

select
    operating_day,
    operator,
    averages.main_location,
    averages.on_peak_da_lmp,
    averages.off_peak_da_lmp,
    averages.on_peak_rt_lmp,
    averages.off_peak_rt_lmp,
    highest.rt as highest_rt_lmp,
    highest.location_name as highest_rt_location,
    highest.interval_start as highest_rt_at,
    lowest.rt as lowest_rt_lmp,
    lowest.location_name as lowest_rt_location,
    lowest.interval_start as lowest_rt_at,
    coalesce(averages.negative_hours, 0) as negative_hours,
    coalesce(averages.scarcity_hours, 0) as scarcity_hours,
    listed.top_congested,
    loads.peak_load,
    loads.peak_load_at,
    case
        when operator = 'pjm'
            then round((
                coalesce(averages.da_hours, 0) / days.hours
                + coalesce(averages.rt_intervals, 0) / (12 * days.hours)
            ) / 2, 6)
        else round((
            coalesce(averages.da_hours, 0) / days.hours
            + coalesce(averages.rt_intervals, 0) / (12 * days.hours)
            + coalesce(loads.load_hours, 0) / days.hours
        ) / 3, 6)
    end as completeness,
    coalesce(corrections.corrections, 0) as corrections
from days
left join averages using (operator, operating_day)
left join (select * from ranked where from_above = 1) as highest using (operator, operating_day)
left join (select * from ranked where from_below = 1) as lowest using (operator, operating_day)
left join listed using (operator, operating_day)
left join loads using (operator, operating_day)
left join corrections using (operator, operating_day)
where
    {{ in_days('operating_day') }}
    and (averages.operator is not null or loads.operator is not null or highest.operator is not null)
