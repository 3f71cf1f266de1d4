{% test keeps_rule(model, rule) %}
{# A condition that every row fulfils; null counts as fulfilled. #}
select * from {{ model }} where not ({{ rule }})
{% endtest %}
