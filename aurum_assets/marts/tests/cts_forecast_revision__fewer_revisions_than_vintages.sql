select * from {{ ref('cts_forecast_revision') }} where revisions >= vintages
