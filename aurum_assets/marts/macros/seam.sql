{#- Prices on both sides of the seam of MISO and PJM, as means over spans of so many seconds of which
    every five-minute interval is there: side ('miso', 'pjm'), interval_start, lmp, congestion,
    finality. -#}
{% macro seam_prices(seconds) %}
select
    operator as side, {{ begins('interval_start', seconds) }} as interval_start,
    {{ mean('lmp') }} as lmp, {{ mean('congestion') }} as congestion,
    case when bool_and(is_final) then 'final' else 'prelim' end as finality
from ({{ five_minute_of_the_seam() }})
group by all
having count(lmp) = {{ seconds }} // 300
{% endmacro %}

{#- The days before and after count too: operators' days begin at different instants. -#}
{% macro five_minute_of_the_seam() %}
select
    operator, interval_start, arg_min(lmp, finality) as lmp,
    arg_min_null(congestion, finality) as congestion, min(finality) = 'final' as is_final
from (
    select 'miso' as operator, interval_start, lmp, congestion, 'prelim' as finality
    from {{ source('market', 'miso_rt_lmp') }} where location = 'PJMC'
    union all
    select 'miso', interval_start, lmp, congestion, 'repair'
    from {{ source('market', 'miso_expost_lmp') }} where location = 'PJMC'
    union all
    select 'pjm', interval_start, lmp, congestion, finality
    from {{ source('market', 'pjm_rt_lmp') }} where {{ at_the_seam('location_id', 'pjm') }}
)
group by operator, interval_start
{% endmacro %}

{#- Every forecast of PJM's price at the seam that was out before its interval ended: operating_day,
    forecast, operator, published_at, interval_start, interval_end, lmp. Of one publication in two
    operating days the later day's row counts. -#}
{% macro seam_forecasts() %}
select h.operating_day, f.*
from (
    select
        'miso_cts' as forecast, 'miso' as operator, published_at, interval_start,
        max(interval_end) as interval_end, arg_max(lmp, operating_day) as lmp
    from {{ source('market', 'miso_cts') }}
    where {{ at_the_seam('location', 'miso') }}
    group by published_at, interval_start
    union all
    select 'pjm_itsced_lmp', 'pjm', published_at, interval_start, interval_end, lmp
    from {{ source('market', 'pjm_itsced_lmp') }} where {{ at_the_seam('location_id', 'pjm') }}
) as f
join {{ source('calendar', 'hours') }} as h
    on f.operator = h.operator
    and f.interval_start >= h.interval_start and f.interval_start < h.interval_end
where {{ in_days('h.operating_day') }} and f.published_at < f.interval_end
{% endmacro %}

{#- Whether a forecast was out when it could still be used: before gate closure, where one is
    configured, else before its interval begins. -#}
{% macro in_time() %}epoch_us(published_at) <= epoch_us(interval_start) - cast({{ var('cts_gate_closure_minutes', 0) }} * 60000000 as bigint){% endmacro %}
