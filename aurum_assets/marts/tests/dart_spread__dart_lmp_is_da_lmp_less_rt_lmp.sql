select * from {{ ref('dart_spread') }} where abs(da_lmp - rt_lmp - dart_lmp) > 0.0001
