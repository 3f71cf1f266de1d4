select * from {{ ref('seam_spread') }} where abs(miso_lmp - pjm_forecast_lmp - spread_forecast) > 0.0001
