with forecasts as (
    select
        'isone' as operator, operating_day, interval_start, published_at, 'system' as region, load
    from {{ source('market', 'isone_hourly_load_forecast') }}
    where {{ in_days('operating_day') }}
    union all
    select 'isone', operating_day, interval_start, published_at, region, load
    from {{ source('market', 'isone_region_load_forecast') }}
    where {{ in_days('operating_day') }}
    union all
    select
        'miso', hours.operating_day, interval_start, published_at, 'system',
        arg_max(load_forecast, forecast.operating_day)
    from {{ source('market', 'miso_load_forecast') }} as forecast
    join {{ source('calendar', 'hours') }} as hours using (interval_start)
    where hours.operator = 'miso' and {{ in_days('hours.operating_day') }}
    group by hours.operating_day, interval_start, published_at
),

actual as (
    {{ actual_load() }}
)

select
    forecasts.operating_day,
    forecasts.operator,
    forecasts.region,
    forecasts.interval_start,
    published_at,
    round({{ minutes_between('published_at', 'forecasts.interval_start') }} / 60, 6) as lead_hours,
    forecasts.load as forecast_load,
    actual.load as actual_load,
    actual.load_from as actual_from,
    {{ difference('forecasts.load', 'actual.load') }} as error,
    case
        when actual.load > 0
            then round(100 * abs({{ difference('forecasts.load', 'actual.load') }}) / actual.load, 6)
    end as absolute_percentage_error
from forecasts
join actual
    on actual.operator = forecasts.operator
    and actual.interval_start = forecasts.interval_start
    and upper(actual.region) = upper(forecasts.region)
where published_at <= forecasts.interval_start
