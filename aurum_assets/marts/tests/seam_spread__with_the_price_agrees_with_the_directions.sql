select * from {{ ref('seam_spread') }}
where with_the_price != (scheduled_direction = paying_direction)
