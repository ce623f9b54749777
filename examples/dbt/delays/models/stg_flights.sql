{{ config(materialized='view') }}
select carrier, make_date(year, month, day) as day, dep_delay, arr_delay
from {{ source('drls', 'flights') }}
where arr_delay is not null
