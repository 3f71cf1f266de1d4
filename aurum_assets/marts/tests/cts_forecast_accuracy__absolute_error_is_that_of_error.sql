select * from {{ ref('cts_forecast_accuracy') }} where absolute_error != abs(error)
