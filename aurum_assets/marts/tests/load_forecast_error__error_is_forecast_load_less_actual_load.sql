select * from {{ ref('load_forecast_error') }} where abs(forecast_load - actual_load - error) > 0.0001
