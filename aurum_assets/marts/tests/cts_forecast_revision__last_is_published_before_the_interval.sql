select * from {{ ref('cts_forecast_revision') }}
where first_published_at > last_published_at or last_published_at > interval_start
