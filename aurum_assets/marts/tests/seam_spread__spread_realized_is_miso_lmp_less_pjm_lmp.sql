select * from {{ ref('seam_spread') }} where abs(miso_lmp - pjm_lmp - spread_realized) > 0.0001
