{% test columns_are_present(model, columns) %}
{# Columns that may not be null are not. One test for all: each test takes 30 ms of a build. #}
select * from {{ model }}
where {% for name in columns %}{{ name }} is null{{ " or " if not loop.last }}{% endfor %}
{% endtest %}
