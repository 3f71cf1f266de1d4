{% test numbers_are_possible(model, bounds) %}
{# Numbers are finite, and within bounds by unit. Null is for columns_are_present. #}
select * from {{ model }}
where {% for name, pair in bounds.items() -%}
not ({{ name }} between {{ pair[0] }} and {{ pair[1] }}){{ " or " if not loop.last }}
{%- endfor %}
{% endtest %}
