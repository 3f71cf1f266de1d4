select * from {{ ref('cts_forecast_revision') }}
where
    first_lmp not between lowest_lmp and highest_lmp
    or last_lmp not between lowest_lmp and highest_lmp
