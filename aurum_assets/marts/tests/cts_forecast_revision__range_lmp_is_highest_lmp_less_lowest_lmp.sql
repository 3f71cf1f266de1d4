select * from {{ ref('cts_forecast_revision') }} where abs(highest_lmp - lowest_lmp - range_lmp) > 0.0001
