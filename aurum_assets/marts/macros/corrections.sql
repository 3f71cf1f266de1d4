{#- The tables whose replaced values count as corrections, by operator. -#}
{% macro superseded() %}
{% set tables = {
    'isone': [
        'isone_da_lmp', 'isone_rt_lmp', 'isone_rt_hourly_lmp', 'isone_system_load',
        'isone_hourly_system_load', 'isone_generation_mix'
    ],
    'miso': [
        'miso_da_lmp', 'miso_rt_lmp', 'miso_rt_hourly_lmp', 'miso_load', 'miso_fuel_mix',
        'miso_interchange', 'miso_constraints'
    ],
    'pjm': ['pjm_da_lmp', 'pjm_rt_lmp']
} %}
{% for operator, names in tables.items() %}
{% for name in names %}
{{ "union all" if not (loop.first and operator == 'isone') }}
select '{{ operator }}' as operator, operating_day, superseded_at, count(*) as corrected
from {{ source('market', name ~ '_history') }}
group by all
{% endfor %}
{% endfor %}
{% endmacro %}
