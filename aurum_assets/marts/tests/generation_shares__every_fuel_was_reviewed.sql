-- Every fuel is one of the common vocabulary: reference.fuels lacks no category of the day.
select operating_day, operator, fuel, count(*) as hours
from {{ ref('generation_shares') }}
where fuel not in (select fuel from {{ source('reference', 'fuels') }} where fuel is not null)
group by operating_day, operator, fuel
