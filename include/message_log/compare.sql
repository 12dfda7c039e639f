-- A day is a UTC day of acceptance. Only campaigns whose messages can have left on it are read.

-- name: day_totals(entity, day)^
-- An entity's accepted messages against CM.com's log. `unheard` are messages of whose outcome the log told something that
-- no webhook had told. Read only.
with messages as (
    select m.month, m.campaign_id, m.subscription_id, m.attempt, m.logged_at
    from campaign c join campaign_message m on m.month = c.month and m.campaign_id = c.id
    where c.entity = :entity and c.created_at < :day::date + 1 and coalesce(c.settled_at, 'infinity') >= :day::date
      and m.accepted_at >= :day::date and m.accepted_at < :day::date + 1
), told as (
    select distinct m.month, m.campaign_id, m.subscription_id
    from messages m join message_event e using (month, campaign_id, subscription_id, attempt)
    where e.source = 'log' and e.status <> 'accepted'
)
select count(*) as accepted, count(logged_at) as logged, count(*) - count(logged_at) as missing,
       (select count(*) from told) as unheard,
       (select count(*) from set_aside a where a.entity = :entity and a.kind = 'log_row'
        and coalesce((a.body::jsonb ->> 'occurred_at')::timestamptz, a.received_at) >= :day::date
        and coalesce((a.body::jsonb ->> 'occurred_at')::timestamptz, a.received_at) < :day::date + 1) as strangers
from messages;

-- name: day_costs(entity, day)
-- What CM.com's log charges for the day's messages, and what our rate table says of the same ones, by currency.
-- Delivered messages without a rate count as `unrated`. Read only.
select coalesce(m.currency, '') as currency, count(*) as messages, sum(m.price) as charged,
       coalesce(sum(r.price), 0) as expected, count(*) filter (where r.price is null) as unrated,
       count(*) filter (where r.price <> m.price) as priced_apart
from campaign c
join campaign_message m on m.month = c.month and m.campaign_id = c.id
left join template t on t.entity = c.entity and t.name = c.parameters ->> 'template' and t.language = m.language
left join lateral (
    select rate.price from rate
    where rate.country in (m.country, '**') and rate.category = coalesce(t.category, 'marketing')
      and rate.currency = m.currency and rate.effective_from <= m.accepted_at::date
    order by rate.country = '**', rate.effective_from desc limit 1
) r on true
where c.entity = :entity and c.created_at < :day::date + 1 and coalesce(c.settled_at, 'infinity') >= :day::date
  and m.accepted_at >= :day::date and m.accepted_at < :day::date + 1
  and m.delivered_at is not null and m.price is not null
group by 1 order by 1;

-- name: due_days(entity, days, before)
-- Which of some days have not been compared since a time. Read only.
select given.day
from unnest(:days::date[]) as given (day)
left join log_day d on d.entity = :entity and d.day = given.day
where d.compared_at is null or d.compared_at < :before
order by given.day;

-- name: write_day(entity, day, accepted, logged, missing, unheard, strangers, priced_apart, now)!
-- A day's comparison, new or replaced. Repeatable.
insert into log_day (entity, day, accepted, logged, missing, unheard, strangers, priced_apart, compared_at)
values (:entity, :day, :accepted, :logged, :missing, :unheard, :strangers, :priced_apart, :now)
on conflict (entity, day) do update
set accepted = excluded.accepted, logged = excluded.logged, missing = excluded.missing, unheard = excluded.unheard,
    strangers = excluded.strangers, priced_apart = excluded.priced_apart, compared_at = excluded.compared_at;

-- name: forget_costs(entity, day)!
-- Before they are written anew, in the same transaction.
delete from log_day_cost where entity = :entity and day = :day;

-- name: write_cost(entity, day, currency, messages, charged, expected, unrated)!
-- The costs of a day in one currency.
insert into log_day_cost (entity, day, currency, messages, charged, expected, unrated)
values (:entity, :day, :currency, :messages, :charged, :expected, :unrated);

-- name: differences(entity, day)
-- Every difference of the day, a row each, ready for a spreadsheet: `missing` (accepted by CM.com, not in its log),
-- `unheard` (the log told of it what no webhook had), `stranger` (in the log, never sent by us), `price` (charged otherwise
-- than our rates say). Read only.
with messages as materialized (
    select m.*, c.parameters ->> 'template' as template, c.entity
    from campaign c join campaign_message m on m.month = c.month and m.campaign_id = c.id
    where c.entity = :entity and c.created_at < :day::date + 1 and coalesce(c.settled_at, 'infinity') >= :day::date
      and m.accepted_at >= :day::date and m.accepted_at < :day::date + 1
), rated as (
    select m.*, r.price as expected
    from messages m
    left join template t on t.entity = m.entity and t.name = m.template and t.language = m.language
    cross join lateral (
        select rate.price from rate
        where rate.country in (m.country, '**') and rate.category = coalesce(t.category, 'marketing')
          and rate.currency = m.currency and rate.effective_from <= m.accepted_at::date
        order by rate.country = '**', rate.effective_from desc limit 1
    ) r
    where m.delivered_at is not null and m.price is not null
), told as (
    select distinct m.month, m.campaign_id, m.subscription_id
    from messages m join message_event e using (month, campaign_id, subscription_id, attempt)
    where e.source = 'log' and e.status <> 'accepted'
)
select 'missing' as difference, m.reference, m.campaign_id, m.state, utc_text(m.accepted_at) as accepted_at,
       null::numeric as charged, null::numeric as expected, null::text as currency
from messages m where m.logged_at is null
union all
select 'unheard', m.reference, m.campaign_id, m.state, utc_text(m.accepted_at), null, null, null
from told join messages m using (month, campaign_id, subscription_id)
union all
select 'price', r.reference, r.campaign_id, r.state, utc_text(r.accepted_at), r.price, r.expected, r.currency
from rated r where r.expected <> r.price
union all
select 'stranger', spreadsheet_text(a.reference), null, a.body::jsonb ->> 'status',
       coalesce(a.body::jsonb ->> 'occurred_at', utc_text(a.received_at)), null, null, null
from set_aside a
where a.entity = :entity and a.kind = 'log_row'
  and coalesce((a.body::jsonb ->> 'occurred_at')::timestamptz, a.received_at) >= :day::date
  and coalesce((a.body::jsonb ->> 'occurred_at')::timestamptz, a.received_at) < :day::date + 1
order by 1, 3, 2;
