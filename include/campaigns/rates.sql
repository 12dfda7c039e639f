-- name: load_rates(rates)^
-- Insert or correct rates, in one statement; how many were new, changed and the same.
with given as (
    select * from jsonb_to_recordset(:rates::jsonb)
        as g (effective_from date, country text, category text, price numeric, currency text)
), compared as (
    select g.*, r.price is null as is_new, (r.price, r.currency) is distinct from (g.price, g.currency) as differs
    from given g
    left join rate r on r.country = g.country and r.category = g.category and r.effective_from = g.effective_from
), written as (
    insert into rate (effective_from, country, category, price, currency)
    select effective_from, country, category, price, currency from compared where differs
    on conflict (country, category, effective_from) do update set price = excluded.price, currency = excluded.currency
)
select count(*) filter (where is_new) as new, count(*) filter (where differs and not is_new) as changed,
       count(*) filter (where not differs) as same
from compared;

-- name: current_rates(today)
-- The rate of each country and category that is valid on a day. Read only.
select distinct on (country, category) country, category, price, currency, effective_from
from rate where effective_from <= :today order by country, category, effective_from desc;

-- name: priced_entities()
-- Entities whose campaigns' costs may be estimated from rates. Read only.
select distinct entity from campaign order by entity;
