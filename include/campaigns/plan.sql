-- name: campaign_of_run(entity, run_key)^
-- The campaign of an Airflow run, if it was planned before. Read only.
select id, month, state, parameters_hash, plan_hash, target, connection_id
from campaign where entity = :entity and run_key = :run_key
for update;

-- name: new_campaign(entity, name, run_key, connection_id, month, parameters, parameters_hash)^
-- One campaign for one run; a second planner of the same run waits here and then finds the first one's row.
insert into campaign (entity, name, run_key, connection_id, month, parameters, parameters_hash)
values (:entity, :name, :run_key, :connection_id, :month, :parameters, :parameters_hash)
on conflict (entity, run_key) do nothing
returning id;

-- name: ensure_month(month)^
-- Create the month's partitions when they are missing. Safe to run concurrently.
select ensure_month(:month)::text;

-- name: write_audience(entity, countries, languages, attributes, category, recent_month, now, template_languages, default_language, variables, max_per_week, campaign_id, holdout, approved_languages, month)!
-- The audience: one ledger row per person matched, in one statement. Whoever is not to be messaged is written too, as
-- excluded, with the first reason that applies (order: docs/reports.md). Not safe twice: the primary key refuses.
with matched as (
    select s.id, s.entity, s.status, s.person_hash, s.reachability, s.language, s.country, s.consent_event_id, s.attributes
    from subscription s
    where s.entity = :entity
      and s.status <> 'erased'
      and (cardinality(:countries::text[]) = 0 or s.country = any (:countries::text[]))
      and (cardinality(:languages::text[]) = 0 or s.language = any (:languages::text[]))
      and not exists (
          select from jsonb_each(:attributes::jsonb) wanted
          where not coalesce(wanted.value ? lower(s.attributes ->> wanted.key), false)
      )
), recent as (
    -- marketing messages that left, or may have left, in the last seven days, over all campaigns of the entity
    select m.subscription_id, count(*) as messages
    from campaign_message m
    join campaign c on c.id = m.campaign_id
    where c.entity = :entity and c.parameters ->> 'category' = 'marketing' and :category = 'marketing'
      and m.month >= :recent_month and m.claimed_at > :now - interval '7 days'
      and m.state in ('sending', 'uncertain', 'accepted', 'delivered', 'read')
    group by m.subscription_id
), rendered as (
    select matched.*,
           case when matched.language = any (:template_languages::text[]) then matched.language
                else :default_language end as message_language,
           (select coalesce(jsonb_agg(coalesce(v.item ->> 'constant',
                                               nullif(btrim(matched.attributes ->> (v.item ->> 'attribute')), ''),
                                               v.item ->> 'fallback') order by v.position), '[]'::jsonb)
            from jsonb_array_elements(:variables::jsonb) with ordinality as v (item, position)) as variables
    from matched
), judged as (
    select r.*,
           case
               when r.status = 'unsubscribed' then 'opted_out'
               when r.status <> 'subscribed' then 'no_consent'
               when x.person_hash is not null then 'suppressed'
               when r.reachability = 'unreachable' then 'undeliverable'
               when coalesce(recent.messages, 0) >= :max_per_week then 'frequency_cap'
               when abs(mod(hashint8extended(r.id, :campaign_id), 100000)) < :holdout * 1000 then 'holdout'
               when exists (
                   select from jsonb_array_elements(r.variables) with ordinality as v (item, position)
                   where v.item = 'null'::jsonb
                      or length(v.item #>> '{}') > (:variables::jsonb -> (v.position - 1)::int ->> 'max_length')::int
                      or v.item #>> '{}' ~ E'[\n\r\t]|    '
               ) then 'missing_variable'
               when not r.message_language = any (:approved_languages::text[]) then 'template_not_available'
           end as reason
    from rendered r
    left join suppression x on x.entity = r.entity and x.person_hash = r.person_hash
    left join recent on recent.subscription_id = r.id
)
insert into campaign_message (month, campaign_id, subscription_id, state, reason, consent_event_id, language, country, variables)
select :month, :campaign_id, j.id,
       case when j.reason is null then 'planned' else 'excluded' end,
       j.reason, j.consent_event_id, j.message_language, j.country,
       case when j.reason is null then j.variables end
from judged j;

-- name: close_plan(now, parameters_hash, month, campaign_id)^
-- Freeze target and plan hash. The hash covers the parameters and every planned row's person, language and variables.
update campaign c
set target = counted.target, plan_hash = counted.plan_hash, state = 'planned', planned_at = :now, updated_at = :now
from (
    select count(*) as target,
           left(encode(sha256(convert_to(:parameters_hash || ':' || count(*) || ':' || coalesce(sum(hashtextextended(
               m.subscription_id || ':' || m.state || ':' || coalesce(m.reason, '') || ':' || coalesce(m.language, '')
               || ':' || coalesce(m.variables::text, ''), 0)), 0), 'UTF8')), 'hex'), 16) as plan_hash
    from campaign_message m
    where m.month = :month and m.campaign_id = :campaign_id
) counted
where c.id = :campaign_id
returning c.plan_hash, c.target;

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
