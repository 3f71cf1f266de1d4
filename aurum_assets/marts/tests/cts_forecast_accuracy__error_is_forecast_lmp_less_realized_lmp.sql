select * from {{ ref('cts_forecast_accuracy') }} where abs(forecast_lmp - realized_lmp - error) > 0.0001
