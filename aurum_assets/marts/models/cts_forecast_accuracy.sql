with forecasts as (
    {{ seam_forecasts() }}
),

five as (
    {{ seam_prices(300) }}
),

quarters as (
    {{ seam_prices(900) }}
),

prices as (
    select 300 as seconds, * from five
    union all
    select 900 as seconds, * from quarters
),

realized as (
    select
        forecasts.*,
        miso.lmp as miso_lmp,
        coalesce(pjm.lmp, miso.lmp) as realized_lmp,
        case
            when pjm.finality = 'final' then 'pjm verified'
            when pjm.lmp is not null then 'pjm unverified'
            else 'miso interface'
        end as realized_from
    from forecasts
    left join prices as pjm
        on pjm.side = 'pjm'
        and pjm.interval_start = forecasts.interval_start
        and pjm.seconds = (epoch_us(forecasts.interval_end) - epoch_us(forecasts.interval_start)) / 1000000
    left join prices as miso
        on miso.side = 'miso'
        and miso.interval_start = forecasts.interval_start
        and miso.seconds = (epoch_us(forecasts.interval_end) - epoch_us(forecasts.interval_start)) / 1000000
)

select
    operating_day,
    forecast,
    interval_start,
    published_at,
    interval_end,
    {{ minutes_between('published_at', 'interval_start') }} as lead_minutes,
    lmp as forecast_lmp,
    realized_lmp,
    realized_from,
    {{ difference('lmp', 'realized_lmp') }} as error,
    abs({{ difference('lmp', 'realized_lmp') }}) as absolute_error,
    miso_lmp,
    case
        when realized_from != 'miso interface'
            then sign({{ difference('miso_lmp', 'lmp') }}) = sign({{ difference('miso_lmp', 'realized_lmp') }})
    end as sign_hit
from realized
where realized_lmp is not null
