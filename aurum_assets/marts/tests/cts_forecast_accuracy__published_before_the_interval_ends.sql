select * from {{ ref('cts_forecast_accuracy') }} where published_at >= interval_end
