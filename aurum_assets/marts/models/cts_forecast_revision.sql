with vintages as (
    select
        *,
        lmp != lag(lmp) over (
            partition by forecast, interval_start order by published_at
        ) as is_revised
    from ({{ seam_forecasts() }})
    where {{ in_time() }}
)

select
    operating_day,
    forecast,
    interval_start,
    arg_min(lmp, published_at) as first_lmp,
    min(published_at) as first_published_at,
    arg_max(lmp, published_at) as last_lmp,
    max(published_at) as last_published_at,
    min(lmp) as lowest_lmp,
    max(lmp) as highest_lmp,
    {{ difference('max(lmp)', 'min(lmp)') }} as range_lmp,
    count(*) filter (is_revised) as revisions,
    count(*) as vintages
from vintages
group by operating_day, forecast, interval_start
