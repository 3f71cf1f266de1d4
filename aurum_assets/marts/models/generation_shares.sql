with instants as (
    select 'isone' as operator, operating_day, interval_start, fuel as category, generation, marginal
    from {{ source('market', 'isone_generation_mix') }}
    where {{ in_days('operating_day') }}
    union all
    select 'miso', operating_day, interval_start, fuel, generation, null
    from {{ source('market', 'miso_fuel_mix') }}
    where {{ in_days('operating_day') }}
),

categories as (
    select
        operator, operating_day, {{ begins('interval_start', 3600) }} as interval_start, category,
        {{ mean('generation') }} as generation, count(generation) as intervals,
        bool_or(marginal = 'Y') filter (marginal in ('Y', 'N')) as marginal
    from instants
    group by all
),

fuels as (
    select
        categories.operator, operating_day, interval_start,
        coalesce(fuels.fuel, categories.category) as fuel,
        cast(sum({{ exact('generation') }}) as double) as generation,
        bool_or(marginal) as marginal,
        min(intervals) as intervals
    from categories
    left join {{ source('reference', 'fuels') }} as fuels
        on fuels.source = categories.operator
        and fuels.level = 'category'
        and fuels.category = categories.category
    group by all
),

totals as (
    select
        operator, interval_start,
        cast(sum({{ exact('generation') }}) as double) as generation
    from fuels
    where fuel != 'imports' and generation > 0
    group by all
)

select
    operating_day,
    operator,
    interval_start,
    fuel,
    fuels.generation,
    case when fuel != 'imports' then round(greatest(fuels.generation, 0) / totals.generation, 6) end as share,
    marginal,
    intervals
from fuels
left join totals using (operator, interval_start)
