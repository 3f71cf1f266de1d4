{# Written by `make schemas`; changes here are lost. #}
{# One row a key: the final value where there is one, else the preliminary one; of forecasts the
   one that was published last. As open_lake().best(table). #}
{% macro best(table) -%}
  {%- set keys = {
    'isone_da_lmp': ['operating_day', 'interval_start', 'location_id'],
    'isone_hourly_load_forecast': ['operating_day', 'interval_start'],
    'isone_region_load_forecast': ['operating_day', 'interval_start', 'region'],
    'isone_regulation_prices': ['operating_day', 'interval_start', 'interval_end'],
    'isone_reserve_prices': ['operating_day', 'interval_start', 'reserve_zone_id'],
    'isone_rt_constraints': ['operating_day', 'interval_start', 'constraint_name', 'contingency', 'ordinal'],
    'isone_rt_hourly_lmp': ['operating_day', 'interval_start', 'location_id'],
    'isone_rt_lmp': ['operating_day', 'interval_start', 'location_id'],
    'miso_cts': ['interval_start', 'location'],
    'miso_load_forecast': ['interval_start'],
    'miso_wind_solar_forecast': ['interval_start'],
    'pjm_da_lmp': ['operating_day', 'interval_start', 'location_id'],
    'pjm_itsced_lmp': ['operating_day', 'interval_start', 'location_id'],
    'pjm_rt_lmp': ['operating_day', 'interval_start', 'location_id'],
  } -%}
  {%- set orders = {
    'isone_da_lmp': ['finality', 'fetched_at desc', 'raw_sha256 desc'],
    'isone_hourly_load_forecast': ['published_at desc', 'operating_day desc', 'fetched_at desc', 'raw_sha256 desc'],
    'isone_region_load_forecast': ['published_at desc', 'operating_day desc', 'fetched_at desc', 'raw_sha256 desc'],
    'isone_regulation_prices': ['finality', 'fetched_at desc', 'raw_sha256 desc'],
    'isone_reserve_prices': ['finality', 'fetched_at desc', 'raw_sha256 desc'],
    'isone_rt_constraints': ['finality', 'fetched_at desc', 'raw_sha256 desc'],
    'isone_rt_hourly_lmp': ['finality', 'fetched_at desc', 'raw_sha256 desc'],
    'isone_rt_lmp': ['finality', 'fetched_at desc', 'raw_sha256 desc'],
    'miso_cts': ['published_at desc', 'operating_day desc', 'fetched_at desc', 'raw_sha256 desc'],
    'miso_load_forecast': ['published_at desc', 'operating_day desc', 'fetched_at desc', 'raw_sha256 desc'],
    'miso_wind_solar_forecast': ['published_at desc', 'operating_day desc', 'fetched_at desc', 'raw_sha256 desc'],
    'pjm_da_lmp': ['finality', 'fetched_at desc', 'raw_sha256 desc'],
    'pjm_itsced_lmp': ['published_at desc', 'operating_day desc', 'fetched_at desc', 'raw_sha256 desc'],
    'pjm_rt_lmp': ['finality', 'fetched_at desc', 'raw_sha256 desc'],
  } -%}
  (
    select * from {{ source('market', table) }}
    qualify row_number() over (
      partition by {{ keys[table] | join(', ') }} order by {{ orders[table] | join(', ') }}
    ) = 1
    {%- if table in ['isone_rt_constraints'] %}
    and (finality = 'final' or not bool_or(finality = 'final') over (partition by operating_day))
    {%- endif %}
  )
{%- endmacro %}
