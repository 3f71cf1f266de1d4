{#- What a location is, in the words of all operators: hub, zone, interface or node. -#}

{% macro typed_kind(type) %}case {{ type }} when 'HUB' then 'hub' when 'LOAD ZONE' then 'zone' when 'ZONE' then 'zone' when 'EXT. NODE' then 'interface' when 'INTERFACE' then 'interface' else 'node' end{% endmacro %}

{#- MISO says no types: of a name only .HUB says what it is, and the reviewed list has the interfaces. -#}
{% macro miso_kind(name) %}case when {{ name }} in (select location_id from {{ source('reference', 'interfaces') }} where source = 'miso') then 'interface' when ends_with({{ name }}, '.HUB') then 'hub' else 'node' end{% endmacro %}

{#- The locations of an operator at the seam of MISO and PJM. -#}
{% macro at_the_seam(location, operator) %}{{ location }} in (select location_id from {{ source('reference', 'interfaces') }} where source = '{{ operator }}' and seam = 'miso-pjm'){% endmacro %}
