{#- Prices and powers are decimals of six places until the result: sums have no order, differences
    no dust. -#}

{% macro exact(value) %}cast({{ value }} as decimal(18, 6)){% endmacro %}

{#- The mean of what is not null (and fulfils a condition), rounded to six places in whole
    millionths, halves away from zero. -#}
{% macro mean(value, condition='true') %}
{%- set total -%} sum(cast(round({{ value }} * 1e6) as bigint)) filter ({{ condition }}) {%- endset -%}
{%- set n -%} (count({{ value }}) filter ({{ condition }})) {%- endset -%}
(sign({{ total }}) * ((2 * abs({{ total }}) + {{ n }}) // (2 * {{ n }})) / 1e6)
{%- endmacro %}

{% macro difference(of, less) %}cast({{ exact(of) }} - {{ exact(less) }} as double){% endmacro %}

{#- The beginning (UTC) of the span of so many seconds that an instant lies in; zones of whole hours. -#}
{% macro begins(instant, seconds) %}to_timestamp(epoch_us({{ instant }}) // {{ seconds * 1000000 }} * {{ seconds }}){% endmacro %}

{% macro minutes_between(earlier, later) %}round((epoch_us({{ later }}) - epoch_us({{ earlier }})) / 60000000.0, 6){% endmacro %}

{#- The operating days that are built are variables of the connection: in the text of the models dbt
    would parse all of them anew for other days. -#}
{% macro in_days(day) %}{{ day }} between getvariable('first_day') and getvariable('last_day'){% endmacro %}
