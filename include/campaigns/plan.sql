-- name: campaign_of_run(entity, run_key)^
-- The campaign of an Airflow run, if it was planned before. Read only.
select id, month, state, parameters_hash, plan_hash, target, connection_id
from campaign where entity = :entity and run_key = :run_key
for update;

-- name: new_campaign(entity, name, run_key, connection_id, month, parameters, parameters_hash, expires_at, open_wave)^
-- One campaign for one run; a second planner of the same run waits here and then finds the first one's row.
insert into campaign (entity, name, run_key, connection_id, month, parameters, parameters_hash, expires_at, open_wave)
values (:entity, :name, :run_key, :connection_id, :month, :parameters, :parameters_hash, :expires_at, :open_wave)
on conflict (entity, run_key) do nothing
returning id;

-- name: ensure_month(month)^
-- Create the month's partitions when they are missing. Safe to run concurrently.
select ensure_month(:month)::text;

-- name: write_audience(now, entity, campaign_id, month, recent_month, category, max_per_week, holdout, window_start, window_end, quiet_start, quiet_end, entity_zone, expires_at, texts, nearest, language, closed_countries, twins, probe, wanted)!
-- The audience: one ledger row per person matched, in one statement. Whoever is not to be messaged is written too, as
-- excluded, with the first reason that applies (order: docs/reports.md). Not safe twice: the primary key refuses.
-- In braces: what audience.py composes from the parameters (who, variants, variables, budget).
-- "offset 0" keeps a step from being merged into the next one, which would compute each expression anew at every mention;
-- rows stream through all the same. It halved the time of the expressions (1M people, PostgreSQL 18).
with matched as (
    select s.id, s.entity, s.status, s.phone is not null as has_phone, s.person_hash, s.reachability, s.language, s.country,
           s.consent_event_id, {attributes} as attributes,
           coalesce(s.time_zone, :entity_zone) as zone,
           {variant} as variant
    from {people}
    where s.entity = :entity and s.status <> 'erased' and {filters}
), hours as (
    -- the next open moment of each zone, once, and only where hours are kept at all
    select zone, coalesce(next_opening(:now::timestamptz, zone, :window_start::time, :window_end::time, :quiet_start::time,
                                       :quiet_end::time), 'infinity') as opens
    from (select distinct coalesce(s.time_zone, :entity_zone) as zone from subscription s where s.entity = :entity) zones
    where :window_start::time is not null or :quiet_start::time is not null
), recent as (
    -- marketing messages that left, or may have left, in the last seven days, over all campaigns of the entity
    select m.subscription_id, count(*) as messages
    from campaign_message m
    join campaign c on c.id = m.campaign_id and c.month = m.month
    where c.entity = :entity and c.parameters ->> 'category' = 'marketing' and :category = 'marketing'
      -- nothing is claimed long after a campaign has expired: older campaigns need not be read
      and c.month >= :recent_month and c.expires_at > :now::timestamptz - interval '8 days'
      and m.month >= :recent_month and m.claimed_at > :now::timestamptz - interval '7 days'
      and m.state in ('sending', 'uncertain', 'accepted', 'delivered', 'read')
    group by m.subscription_id
), twin as (
    -- whoever is in the same campaign already, started a little earlier
    select distinct m.subscription_id from campaign_message m
    where m.month >= :recent_month and m.campaign_id = any (:twins::bigint[])
      and m.state not in ('excluded', 'expired', 'rejected')
), addressed as (
    -- the template of the variant, in the language of the campaign or the one that fits the person best, and when
    select matched.*, chosen.template, language.code as message_language,
           case when hours.opens > :now::timestamptz then hours.opens else 'epoch' end as not_before
    from matched
    left join hours on hours.zone = matched.zone
    cross join lateral (select {template} as template) chosen
    cross join lateral (select coalesce(
        :language::text,
        case when :texts::jsonb -> chosen.template ? matched.language then matched.language end,
        :nearest::jsonb -> chosen.template ->> split_part(matched.language, '_', 1),
        :nearest::jsonb -> chosen.template ->> '*') as code) language
    offset 0
), valued as (
    select a.*, {values} from addressed a
    offset 0
), judged as (
    select a.*,
           case
               when a.status not in (:wanted, 'unsubscribed') then 'no_consent'
               when a.status = 'unsubscribed' then 'opted_out'
               when x.person_hash is not null then 'suppressed'
               when not a.has_phone then 'invalid_number'
               when a.reachability = 'unreachable' then 'undeliverable'
               when :category = 'marketing' and a.country = any (:closed_countries::text[]) then 'country_closed'
               when twin.subscription_id is not null then 'already_planned'
               when coalesce(recent.messages, 0) >= :max_per_week then 'frequency_cap'
               when abs(mod(hashint8extended(a.id, :campaign_id), 100000)) < :holdout * 1000 then 'holdout'
               when {unfit} then 'missing_variable'
               when a.not_before >= :expires_at then 'outside_window'
               when not coalesce((:texts::jsonb -> a.template ->> a.message_language)::boolean, false)
                   then 'template_not_available'
           end as reason
    from valued a
    left join suppression x on x.entity = a.entity and x.person_hash = a.person_hash
    left join recent on recent.subscription_id = a.id
    left join twin on twin.subscription_id = a.id
    offset 0
), afforded as (
    select j.*, coalesce(j.reason, {over_budget}) as final_reason from judged j {prices}
)
insert into campaign_message (month, campaign_id, subscription_id, state, reason, consent_event_id, language, variant,
                              country, variables, wave, not_before)
select :month, :campaign_id, a.id,
       case when a.final_reason is null then 'planned' else 'excluded' end,
       a.final_reason, a.consent_event_id, a.message_language, a.variant, a.country,
       case when a.final_reason is null then {variables} end,
       case when abs(mod(hashint8extended(a.id, :campaign_id + 1), 100000)) < :probe * 1000 then 0 else 1 end,
       a.not_before
from afforded a;

-- name: lock_confirmations(entity)
-- Two plans of confirmations at once: the second one sees whom the first one asks.
select pg_advisory_xact_lock(hashtextextended('confirmations:' || :entity, 0))::text;

-- name: lock_twins(entity, parameters_hash)
-- Two plans of the same choices at once see each other: the second waits for the first one's commit.
select pg_advisory_xact_lock(hashtextextended(:entity, 1) # hashtextextended(:parameters_hash, 2))::text;

-- name: twins(entity, parameters_hash, now)
-- Campaigns of the same choices that were started in the last 24 hours and not called off. Read only.
select id, name, created_at from campaign
where entity = :entity and parameters_hash = :parameters_hash and state not in ('refused', 'cancelled')
  and created_at > :now::timestamptz - interval '24 hours'
order by id;

-- name: hash_of_plan(month, campaign_id)^
-- The people of a plan, and the plan's hash: over the frozen parameters, texts included, and every row's person, variant,
-- language, variables, state and reason. Read only.
select written.target,
       left(encode(sha256(convert_to(c.parameters::text || ':' || written.target || ':' || written.hash, 'UTF8')), 'hex'), 16)
           as plan_hash
from campaign c
cross join lateral (
    select count(*) as target,
           coalesce(sum(hash_record_extended(
               row (m.subscription_id, m.state, m.reason, m.language, m.variant, m.variables), 0)), 0) as hash
    from campaign_message m
    where m.month = :month and m.campaign_id = c.id
) written
where c.id = :campaign_id;

-- name: close_plan(now, target, plan_hash, campaign_id)!
-- Freeze target and plan hash.
update campaign
set target = :target, plan_hash = :plan_hash, state = 'planned', planned_at = :now, updated_at = :now
where id = :campaign_id;

-- name: waterfall(month, campaign_id)
-- How many rows of a campaign per state and reason. Read only.
select state, reason, count(*) as messages
from campaign_message
where month = :month and campaign_id = :campaign_id
group by state, reason
order by state, reason;

-- name: planned_by_country(category, today, month, campaign_id)
-- Planned messages per country of the number, with the price valid on a day. Read only.
select m.country, count(*) as messages,
       (select r.price from rate r
        where r.country in (m.country, '**') and r.category = :category and r.effective_from <= :today
        order by (r.country = '**'), r.effective_from desc limit 1) as price,
       (select r.currency from rate r
        where r.country in (m.country, '**') and r.category = :category and r.effective_from <= :today
        order by (r.country = '**'), r.effective_from desc limit 1) as currency
from campaign_message m
where m.month = :month and m.campaign_id = :campaign_id and m.state = 'planned'
group by m.country
order by m.country;

-- name: planned_by_zone(month, campaign_id, entity_zone)
-- Planned people per wave and time zone. Read only.
select m.wave, coalesce(s.time_zone, :entity_zone) as zone, count(*) as people
from campaign_message m join subscription s on s.id = m.subscription_id
where m.month = :month and m.campaign_id = :campaign_id and m.state = 'planned'
group by 1, 2
order by 1, 2;

-- name: waiting_elsewhere(campaign_id, connection_id)$
-- Messages that other campaigns of the integration still have to send. Read only.
select count(*) from campaign c
join campaign_message m on m.month = c.month and m.campaign_id = c.id and m.state = 'planned'
where c.connection_id = :connection_id and c.id <> :campaign_id and c.state in ('approved', 'sending');

-- name: used_by_hour(portfolio, now)
-- People of a portfolio's limit that were written to in each of the last hours. Read only.
select hour, people from daily_use where portfolio = :portfolio and hour > :now::timestamptz - interval '25 hours';

-- name: delivered_lately(entity, now)^
-- The least share of accepted messages that was delivered in a campaign of the last 90 days, and how many there were.
-- Read only.
select min(r.delivered::numeric / r.accepted) as share, count(*) as campaigns
from campaign c join report_campaign r on r.campaign_id = c.id
where c.entity = :entity and r.accepted >= 100
  and c.started_at between :now::timestamptz - interval '90 days' and :now::timestamptz - interval '1 day';

-- name: currencies(category, today)
-- The currencies of the rates of a category that are valid on a day. Read only.
select distinct currency from rate where category = :category and effective_from <= :today order by 1;

-- name: unpriced_countries(entity, category, today)
-- Countries of subscribed people for which no rate is loaded. Read only.
select distinct s.country
from subscription s
where s.entity = :entity and s.status = 'subscribed'
  and not exists (select from rate r where r.country in (s.country, '**') and r.category = :category
                  and r.effective_from <= :today)
order by s.country;

-- name: unknown_recipients(entity, recipients)
-- Given recipients that no record of a source names. Read only.
select g.source, g.record_id
from jsonb_to_recordset(:recipients::jsonb) as g (source text, record_id text)
where not exists (select from source_record r where r.entity = :entity and r.source = g.source
                  and r.record_id = g.record_id and r.subscription_id is not null)
order by g.source, g.record_id;

-- name: examples(month, campaign_id)
-- Five planned messages, of as many languages and variants as there are. Read only.
select language, variant, variables
from (
    select language, variant, variables, subscription_id,
           row_number() over (partition by language, variant order by hashint8extended(subscription_id, 5)) as place
    from campaign_message
    where month = :month and campaign_id = :campaign_id and state = 'planned'
) chosen
order by place, language, variant
limit 5;
