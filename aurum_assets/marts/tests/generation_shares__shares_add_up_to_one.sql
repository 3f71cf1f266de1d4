select operator, interval_start, sum(share) as shares
from {{ ref('generation_shares') }}
group by operator, interval_start
having sum(generation) filter (generation > 0 and fuel != 'imports') > 0 and abs(sum(share) - 1) > 0.0001
