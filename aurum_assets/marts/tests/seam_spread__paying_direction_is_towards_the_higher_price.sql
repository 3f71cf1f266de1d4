select * from {{ ref('seam_spread') }}
where
    (paying_direction = 'PJM_TO_MISO' and spread_realized <= 0)
    or (paying_direction = 'MISO_TO_PJM' and spread_realized >= 0)
