select d.carrier, a.name, sum(d.flights)::bigint as flights, round(sum(d.minutes) / sum(d.flights), 2) as mean_delay
from {{ ref('daily_delays') }} as d
join {{ source('drls', 'airlines') }} as a using (carrier)
group by all
having sum(d.flights) >= {{ var('least_flights') }}
