{#- Prices of all operators in one shape: operator, operating_day, interval_start, location_id,
    location_name, location_type, lmp, energy, congestion, loss, finality. -#}

{% macro priced(operator, relation) %}
select
    '{{ operator }}' as operator, operating_day, interval_start, location_id, location_name,
    {{ typed_kind('location_type') }} as location_type, lmp, energy, congestion, loss, finality
from {{ relation }}
where {{ in_days('operating_day') }}
{% endmacro %}

{% macro priced_by_miso(relation, finality, condition='true') %}
select
    'miso' as operator, operating_day, interval_start, location as location_id,
    location as location_name, {{ miso_kind('location') }} as location_type,
    lmp, energy, congestion, loss, '{{ finality }}' as finality
from {{ relation }}
where {{ in_days('operating_day') }} and {{ condition }}
{% endmacro %}

{#- A row for each hour and location with its best finality: final, else prelim. -#}
{% macro best_hourly(rows) %}
select
    operator, operating_day, interval_start, location_id,
    max(location_name) as location_name, max(location_type) as location_type,
    arg_min(lmp, finality) as lmp, arg_min_null(energy, finality) as energy,
    arg_min_null(congestion, finality) as congestion, arg_min_null(loss, finality) as loss,
    min(finality) as finality,
    max(lmp) filter (finality = 'prelim') as lmp_prelim,
    max(lmp) filter (finality = 'final') as lmp_final
from ({{ rows }})
group by operator, operating_day, interval_start, location_id
{% endmacro %}

{#- What the day-ahead market settles on: of MISO the ex-post run. -#}
{% macro day_ahead() %}
{% set rows %}
{{ priced('isone', source('market', 'isone_da_lmp')) }}
union all
{{ priced_by_miso(source('market', 'miso_da_lmp'), 'final', "market_run = 'ex_post'") }}
union all
{{ priced('pjm', source('market', 'pjm_da_lmp')) }}
{% endset %}
{{ best_hourly(rows) }}
{% endmacro %}

{#- The operators' own hourly real-time prices; none of PJM's are collected. -#}
{% macro real_time_hourly() %}
{% set rows %}
{{ priced('isone', source('market', 'isone_rt_hourly_lmp')) }}
union all
{{ priced_by_miso(source('market', 'miso_rt_hourly_lmp'), 'prelim') }}
{% endset %}
{{ best_hourly(rows) }}
{% endmacro %}

{#- Five-minute real-time prices: final, else prelim, else MISO's ex-post display where it alone has
    the interval (in this order of the alphabet). Of hours that the relation `without` has, none. -#}
{% macro five_minute(types=('hub', 'zone', 'interface', 'node'), without=none) %}
select
    operator, operating_day, interval_start, location_id,
    max(location_name) as location_name, max(location_type) as location_type,
    arg_min(lmp, finality) as lmp, arg_min_null(energy, finality) as energy,
    arg_min_null(congestion, finality) as congestion, arg_min_null(loss, finality) as loss,
    min(finality) = 'final' as is_final,
    coalesce(max(lmp) filter (finality = 'prelim'), max(lmp) filter (finality = 'repair'))
        as lmp_prelim,
    max(lmp) filter (finality = 'final') as lmp_final
from (
    {{ priced('isone', source('market', 'isone_rt_lmp')) }}
    union all
    {{ priced_by_miso(source('market', 'miso_rt_lmp'), 'prelim') }}
    union all
    {{ priced_by_miso(source('market', 'miso_expost_lmp'), 'repair') }}
    union all
    {{ priced('pjm', source('market', 'pjm_rt_lmp')) }}
) as every
{%- if without %}
anti join {{ without }} as known
    on known.operator = every.operator
    and known.location_id = every.location_id
    and known.interval_start = {{ begins('every.interval_start', 3600) }}
{%- endif %}
where location_type in ({% for type in types %}'{{ type }}'{{ ", " if not loop.last }}{% endfor %})
group by operator, operating_day, interval_start, location_id
{% endmacro %}

{#- Five-minute prices as one row for each hour and location: means and counts. -#}
{% macro hours_of_five_minutes(types=('hub', 'zone', 'interface', 'node'), without=none) %}
select
    operator, operating_day, {{ begins('interval_start', 3600) }} as interval_start, location_id,
    max(location_name) as location_name, max(location_type) as location_type,
    {{ mean('lmp') }} as lmp, {{ mean('energy') }} as energy,
    {{ mean('congestion') }} as congestion, {{ mean('loss') }} as loss,
    case when bool_and(is_final) then 'final' else 'prelim' end as finality,
    {{ mean('lmp_prelim') }} as lmp_prelim, {{ mean('lmp_final') }} as lmp_final,
    count(lmp) as intervals, count(lmp_prelim) as intervals_prelim,
    count(lmp_final) as intervals_final
from ({{ five_minute(types, without) }})
group by all
{% endmacro %}

{#- The real-time price of each hour and location: the operator's hourly one, else the mean of all
    twelve five-minute prices. -#}
{% macro real_time() %}
with hourly as (
    {{ real_time_hourly() }}
),

five as (
    select * from ({{ hours_of_five_minutes(without='hourly') }}) where intervals = 12
)

select
    operator, operating_day, interval_start, location_id, location_name, lmp, energy, congestion,
    loss, finality, 'hourly' as rt_from
from hourly
union all
select
    operator, operating_day, interval_start, location_id, location_name, lmp, energy, congestion,
    loss, finality, 'five-minute mean'
from five
{% endmacro %}
