{% test key_is_said_once(model, columns) %}
{# No two rows of a day have the same key. #}
select * from {{ model }}
qualify count(*) over (partition by operating_day, {{ columns | join(', ') }}) > 1
{% endtest %}
