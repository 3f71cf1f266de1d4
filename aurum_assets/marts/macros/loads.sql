{#- What the load was in an hour: operator, operating_day, interval_start, region, load, load_from.
    The operator's hourly load, else the mean of all twelve five-minute values. -#}
{% macro actual_load() %}
{% set five_minutes %}
select 'isone' as operator, operating_day, interval_start, 'system' as region, load
from {{ source('market', 'isone_system_load') }} where {{ in_days('operating_day') }}
union all
select 'isone', operating_day, interval_start, load_zone_name, load
from {{ source('market', 'isone_zonal_load') }}
where {{ in_days('operating_day') }} and load_zone_name is not null
union all
select 'miso', operating_day, interval_start, 'system', load
from {{ source('market', 'miso_load') }} where {{ in_days('operating_day') }}
{% endset %}
select
    operator, operating_day, interval_start, region, arg_min(load, place) as load,
    case min(place) when 1 then 'hourly' else 'five-minute mean' end as load_from
from (
    select
        1 as place, 'isone' as operator, operating_day, interval_start, 'system' as region, load
    from {{ source('market', 'isone_hourly_system_load') }}
    where {{ in_days('operating_day') }} and location_id = '32'
    union all
    select
        2, operator, operating_day, {{ begins('interval_start', 3600) }}, region, {{ mean('load') }}
    from ({{ five_minutes }})
    group by all
    having count(load) = 12
)
group by operator, operating_day, interval_start, region
{% endmacro %}
