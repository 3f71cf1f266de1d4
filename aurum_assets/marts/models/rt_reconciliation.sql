with hourly as (
    {{ real_time_hourly() }}
),

five as (
    {{ hours_of_five_minutes() }}
)

select
    coalesce(hourly.operating_day, five.operating_day) as operating_day,
    operator,
    location_id,
    interval_start,
    hourly.lmp_prelim as hourly_lmp_prelim,
    hourly.lmp_final as hourly_lmp_final,
    five.lmp_prelim as mean_lmp_prelim,
    five.lmp_final as mean_lmp_final,
    coalesce(five.intervals_prelim, 0) as intervals_prelim,
    coalesce(five.intervals_final, 0) as intervals_final,
    {{ difference('hourly.lmp', 'five.lmp') }} as hourly_minus_mean,
    case
        when hourly.lmp_final is not null and hourly.lmp_prelim is not null
            then {{ difference('hourly.lmp_final', 'hourly.lmp_prelim') }}
        when hourly.lmp is null and five.intervals_final = five.intervals_prelim
            then {{ difference('five.lmp_final', 'five.lmp_prelim') }}
    end as final_minus_prelim
from hourly
full join five using (operator, location_id, interval_start)
where hourly.lmp is not null or (five.lmp_prelim is not null and five.lmp_final is not null)
