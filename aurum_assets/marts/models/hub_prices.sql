select
  coalesce(d.operating_day, r.operating_day) as operating_day,
  'isone' as operator,
  coalesce(d.location_id, r.location_id) as location_id,
  coalesce(d.interval_start, r.interval_start) as interval_start,
  d.lmp as da_lmp,
  r.lmp as rt_lmp,
  r.finality as rt_finality
from {{ source('market', 'isone_da_lmp') }} d
full join {{ best('isone_rt_hourly_lmp') }} r
  using (operating_day, location_id, interval_start)
where coalesce(d.operating_day, r.operating_day)
  between date '{{ var("first") }}' and date '{{ var("last") }}'
