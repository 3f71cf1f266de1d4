{#- How many values of prices, loads, mix, interchange and constraints were replaced, and when:
    operator, operating_day, superseded_at, corrected. -#}
{% macro superseded() %}
{{ replaced('isone', [
    source('market', 'isone_da_lmp_history'),
    source('market', 'isone_rt_lmp_history'),
    source('market', 'isone_rt_hourly_lmp_history'),
    source('market', 'isone_system_load_history'),
    source('market', 'isone_hourly_system_load_history'),
    source('market', 'isone_generation_mix_history')
]) }}
union all
{{ replaced('miso', [
    source('market', 'miso_da_lmp_history'),
    source('market', 'miso_rt_lmp_history'),
    source('market', 'miso_rt_hourly_lmp_history'),
    source('market', 'miso_load_history'),
    source('market', 'miso_fuel_mix_history'),
    source('market', 'miso_interchange_history'),
    source('market', 'miso_constraints_history')
]) }}
union all
{{ replaced('pjm', [
    source('market', 'pjm_da_lmp_history'),
    source('market', 'pjm_rt_lmp_history')
]) }}
{% endmacro %}

{% macro replaced(operator, histories) %}
{% for history in histories %}
{{ "union all" if not loop.first }}
select '{{ operator }}' as operator, operating_day, superseded_at, count(*) as corrected
from {{ history }}
group by all
{% endfor %}
{% endmacro %}
