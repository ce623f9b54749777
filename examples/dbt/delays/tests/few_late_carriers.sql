{{ config(severity='warn') }}
select * from {{ ref('carrier_delays') }} where mean_delay > 20
