-- The shares of an hour add up to one, where something was made.
select operating_day, operator, interval_start, sum(share) as shares
from {{ ref('generation_shares') }}
group by operating_day, operator, interval_start
having
    sum(generation) filter (generation > 0 and fuel != 'imports') > 0
    and abs(sum(share) - 1) > 0.0001
