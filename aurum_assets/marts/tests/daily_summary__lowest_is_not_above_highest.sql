select * from {{ ref('daily_summary') }} where lowest_rt_lmp > highest_rt_lmp
