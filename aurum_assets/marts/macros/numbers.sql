{#- Prices and powers are decimals of six places until the result: sums have no order, differences no dust. -#}

{% macro exact(value) %}cast({{ value }} as decimal(18, 6)){% endmacro %}

{#- The mean of what is not null, to six places. -#}
{% macro mean(value) %}(round(cast(sum({{ exact(value) }}) as double) / count({{ value }}), 6) + 0.0){% endmacro %}

{% macro mean_where(value, condition) %}(round(cast(sum({{ exact(value) }}) filter ({{ condition }}) as double) / count({{ value }}) filter ({{ condition }}), 6) + 0.0){% endmacro %}

{% macro difference(of, less) %}cast({{ exact(of) }} - {{ exact(less) }} as double){% endmacro %}

{#- The beginning (UTC) of the span of so many seconds that an instant lies in; zones of whole hours. -#}
{% macro begins(instant, seconds) %}to_timestamp(epoch_us({{ instant }}) // {{ seconds * 1000000 }} * {{ seconds }}){% endmacro %}

{% macro minutes_between(earlier, later) %}round((epoch_us({{ later }}) - epoch_us({{ earlier }})) / 60000000.0, 6){% endmacro %}

{% macro in_days(day) %}{{ day }} between cast('{{ var("first") }}' as date) and cast('{{ var("last") }}' as date){% endmacro %}
