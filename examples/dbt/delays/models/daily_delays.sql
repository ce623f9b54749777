{{ config(materialized='incremental', unique_key=['carrier', 'day']) }}
-- In a run of DRLS it is built in full; the sink's mode decides what happens to the table.
select carrier, day, count(*) as flights, sum(arr_delay) as minutes
from {{ ref('stg_flights') }}
group by all
