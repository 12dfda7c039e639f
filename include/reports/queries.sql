-- Every read takes the month too: it is the ledger's partition. Nothing here changes the ledger.

-- name: changed_campaigns(entity)
-- Campaigns of the entity with a change that is not in their roll-up, the oldest first. Safe beside writers.
select c.id
from campaign c
where c.entity = :entity
  and exists (select from report_change n where n.campaign_id = c.id)
order by c.id;

-- name: all_campaigns(entity)
-- Every campaign of the entity, for a refresh from scratch (after rates changed).
select id from campaign where entity = :entity order by id;

-- name: lock_campaign(campaign_id)
-- One refresh of a campaign at a time; senders are not held up. Released at the end of the transaction.
select pg_advisory_xact_lock(hashtextextended('report_campaign', :campaign_id::bigint))::text;

-- name: take_marks(campaign_id)!
-- Must come before the reads, in a READ COMMITTED transaction: every change whose mark is taken here is committed, so
-- the statements that follow see it. A change that commits later keeps its mark and is read again next time.
delete from report_change where campaign_id = :campaign_id;

-- name: campaign_header(campaign_id)^
-- What a report needs to know of the campaign itself.
select c.id, c.entity, c.name, c.month, c.state, c.state_reason, c.target, c.created_at, c.started_at, c.sent_at,
       c.settled_at, c.approved_by, c.approved_at
from campaign c
where c.id = :campaign_id;

-- name: count_states(month, campaign_id)^
-- The funnel in one pass. A reply counts within 72 h and an opt-out within 7 days of delivery (of acceptance while no
-- delivery is known), by whatever wrote the time.
select count(*) as people,
       count(*) filter (where state = 'excluded') as excluded,
       count(*) filter (where state = 'planned') as waiting,
       count(*) filter (where state = 'sending') as sending,
       count(*) filter (where state = 'uncertain') as uncertain,
       count(*) filter (where state = 'expired') as expired,
       count(*) filter (where state = 'rejected') as rejected,
       count(*) filter (where state = 'accepted') as awaiting,
       count(*) filter (where state = 'failed') as failed,
       count(*) filter (where state in ('delivered', 'read')) as delivered,
       count(*) filter (where state = 'read') as read,
       count(clicked_at) as clicked,
       count(*) filter (where replied_at <= coalesce(delivered_at, accepted_at) + interval '72 hours') as replied,
       count(*) filter (where opted_out_at <= coalesce(delivered_at, accepted_at) + interval '7 days') as opted_out,
       max(accepted_at) as last_accepted_at
from campaign_message
where month = :month and campaign_id = :campaign_id;

-- name: count_costs(month, campaign_id)
-- Cost by currency: the log's prices, and for delivered messages without one the rate of their country and day.
with category as (
    select coalesce(c.parameters ->> 'category',
        (select t.category from template t
         where t.entity = c.entity and t.name = c.parameters ->> 'template' limit 1),
        'marketing') as category
    from campaign c where c.id = :campaign_id
), billed as (
    select country, currency, (delivered_at at time zone 'UTC')::date as day, price is not null as is_billed,
           sum(price) as amount, count(*) as messages
    from campaign_message
    where month = :month and campaign_id = :campaign_id and (price is not null or state in ('delivered', 'read'))
    group by country, currency, day, is_billed
)
select coalesce(case when b.is_billed then b.currency else r.currency end, '') as currency,
       sum(case when b.is_billed then b.amount else r.price * b.messages end) as amount,
       sum(b.messages) filter (where not b.is_billed and r.price is not null)::bigint as estimated,
       sum(b.messages) filter (where not b.is_billed and r.price is null)::bigint as unpriced
from billed b
cross join category
left join lateral (
    select rate.price, rate.currency
    from rate
    where rate.category = category.category
      and rate.country in (b.country, '**')
      and rate.effective_from <= coalesce(b.day, current_date)
    order by rate.country = '**', rate.effective_from desc
    limit 1
) r on not b.is_billed
group by 1;

-- name: count_reasons(month, campaign_id)
-- Why people were not reached, the most frequent first.
select state as bucket, coalesce(reason, '') as reason, error_source, error_code, count(*) as messages
from campaign_message
where month = :month and campaign_id = :campaign_id
  and state in ('excluded', 'rejected', 'failed', 'uncertain', 'expired')
group by state, coalesce(reason, ''), error_source, error_code
order by messages desc, bucket, reason, error_source, error_code;

-- name: count_countries(month, campaign_id)
-- By country of the number; ZZ where none is known.
select coalesce(country, 'ZZ') as country,
       count(*) as target,
       count(*) filter (where state in ('accepted', 'failed', 'delivered', 'read')) as accepted,
       count(*) filter (where state in ('delivered', 'read')) as delivered,
       count(*) filter (where state = 'read') as read,
       count(*) filter (where state = 'failed') as failed
from campaign_message
where month = :month and campaign_id = :campaign_id
group by coalesce(country, 'ZZ')
order by target desc, country;

-- name: count_variants(month, campaign_id)
-- By variant and last attempt.
select coalesce(variant, '') as variant, attempt,
       count(*) as target,
       count(*) filter (where state in ('accepted', 'failed', 'delivered', 'read')) as accepted,
       count(*) filter (where state in ('delivered', 'read')) as delivered,
       count(*) filter (where state = 'read') as read,
       count(clicked_at) as clicked,
       count(*) filter (where replied_at <= coalesce(delivered_at, accepted_at) + interval '72 hours') as replied,
       count(*) filter (where opted_out_at <= coalesce(delivered_at, accepted_at) + interval '7 days') as opted_out
from campaign_message
where month = :month and campaign_id = :campaign_id
group by coalesce(variant, ''), attempt
order by variant, attempt;

-- name: count_hours(month, campaign_id)
-- What happened in each hour (UTC).
select date_trunc('hour', happened.at) as hour,
       count(*) filter (where happened.what = 'accepted') as accepted,
       count(*) filter (where happened.what = 'delivered') as delivered,
       count(*) filter (where happened.what = 'read') as read,
       count(*) filter (where happened.what = 'replied') as replied,
       count(*) filter (where happened.what = 'opted_out') as opted_out
from campaign_message m
cross join lateral (values ('accepted', m.accepted_at), ('delivered', m.delivered_at), ('read', m.read_at),
                           ('replied', m.replied_at), ('opted_out', m.opted_out_at)) as happened (what, at)
where m.month = :month and m.campaign_id = :campaign_id and happened.at is not null
group by 1
order by 1;

-- name: count_times(month, campaign_id)
-- How long it took, in seconds. CM.com's clock and ours may differ: a negative time counts as 0.
with took as (
    select 'deliver' as measure, extract(epoch from delivered_at - accepted_at)::float8 as seconds
    from campaign_message where month = :month and campaign_id = :campaign_id and delivered_at is not null
    union all
    select 'read', extract(epoch from read_at - delivered_at)::float8
    from campaign_message where month = :month and campaign_id = :campaign_id and read_at is not null
    union all
    select 'reply', extract(epoch from replied_at - delivered_at)::float8
    from campaign_message where month = :month and campaign_id = :campaign_id and replied_at is not null
), shares as (
    select measure, count(*) as messages,
           percentile_cont(array[0.5, 0.9, 0.95, 0.99]) within group (order by greatest(seconds, 0)) as p,
           count(*) filter (where seconds <= 5) as within_5s,
           count(*) filter (where seconds <= 60) as within_60s
    from took
    where seconds is not null
    group by measure
)
select measure, messages, p[1] as p50, p[2] as p90, p[3] as p95, p[4] as p99, within_5s, within_60s
from shares
order by measure;

-- name: write_campaign(campaign_id, target, excluded, planned, waiting, sending, uncertain, expired, rejected, accepted, awaiting, failed, delivered, read, clicked, replied, opted_out, balance, cost, cost_currency, cost_estimated, cost_unpriced, last_accepted_at, refreshed_at)!
-- The funnel of one campaign, new or replaced.
merge into report_campaign old
using (select :campaign_id::bigint as campaign_id) new on old.campaign_id = new.campaign_id
when matched then update set
    target = :target, excluded = :excluded, planned = :planned, waiting = :waiting, sending = :sending,
    uncertain = :uncertain, expired = :expired, rejected = :rejected, accepted = :accepted, awaiting = :awaiting,
    failed = :failed, delivered = :delivered, read = :read, clicked = :clicked, replied = :replied,
    opted_out = :opted_out, balance = :balance, cost = :cost, cost_currency = :cost_currency,
    cost_estimated = :cost_estimated, cost_unpriced = :cost_unpriced, last_accepted_at = :last_accepted_at,
    refreshed_at = :refreshed_at
when not matched then insert
    (campaign_id, target, excluded, planned, waiting, sending, uncertain, expired, rejected, accepted, awaiting, failed,
     delivered, read, clicked, replied, opted_out, balance, cost, cost_currency, cost_estimated, cost_unpriced,
     last_accepted_at, refreshed_at)
values
    (:campaign_id, :target, :excluded, :planned, :waiting, :sending, :uncertain, :expired, :rejected, :accepted,
     :awaiting, :failed, :delivered, :read, :clicked, :replied, :opted_out, :balance, :cost, :cost_currency,
     :cost_estimated, :cost_unpriced, :last_accepted_at, :refreshed_at);

-- name: forget_parts(campaign_id)!
-- Empty the breakdowns of one campaign before they are written again, in the same transaction.
with reason as (delete from report_campaign_reason where campaign_id = :campaign_id),
     country as (delete from report_campaign_country where campaign_id = :campaign_id),
     hour as (delete from report_campaign_hour where campaign_id = :campaign_id),
     variant as (delete from report_campaign_variant where campaign_id = :campaign_id)
delete from report_campaign_time where campaign_id = :campaign_id;

-- name: write_reason(campaign_id, bucket, reason, error_source, error_code, messages)*!
insert into report_campaign_reason (campaign_id, bucket, reason, error_source, error_code, messages)
values (:campaign_id, :bucket, :reason, :error_source, :error_code, :messages);

-- name: write_country(campaign_id, country, target, accepted, delivered, read, failed)*!
insert into report_campaign_country (campaign_id, country, target, accepted, delivered, read, failed)
values (:campaign_id, :country, :target, :accepted, :delivered, :read, :failed);

-- name: write_hour(campaign_id, hour, accepted, delivered, read, replied, opted_out)*!
insert into report_campaign_hour (campaign_id, hour, accepted, delivered, read, replied, opted_out)
values (:campaign_id, :hour, :accepted, :delivered, :read, :replied, :opted_out);

-- name: write_variant(campaign_id, variant, attempt, target, accepted, delivered, read, clicked, replied, opted_out)*!
insert into report_campaign_variant
    (campaign_id, variant, attempt, target, accepted, delivered, read, clicked, replied, opted_out)
values (:campaign_id, :variant, :attempt, :target, :accepted, :delivered, :read, :clicked, :replied, :opted_out);

-- name: write_time(campaign_id, measure, messages, p50, p90, p95, p99, within_5s, within_60s)*!
insert into report_campaign_time (campaign_id, measure, messages, p50, p90, p95, p99, within_5s, within_60s)
values (:campaign_id, :measure, :messages, :p50, :p90, :p95, :p99, :within_5s, :within_60s);

-- name: read_campaign(campaign_id)^
-- The funnel as last refreshed; no row before the first refresh.
select r.*, exists (select from report_change n where n.campaign_id = r.campaign_id) as is_behind
from report_campaign r
where r.campaign_id = :campaign_id;

-- name: read_reasons(campaign_id)
select bucket, reason, error_source, error_code, messages
from report_campaign_reason
where campaign_id = :campaign_id
order by messages desc, bucket, reason, error_source, error_code;

-- name: read_countries(campaign_id)
select country, target, accepted, delivered, read, failed
from report_campaign_country
where campaign_id = :campaign_id
order by target desc, country;

-- name: read_hours(campaign_id)
select hour, accepted, delivered, read, replied, opted_out
from report_campaign_hour
where campaign_id = :campaign_id
order by hour;

-- name: read_variants(campaign_id)
select variant, attempt, target, accepted, delivered, read, clicked, replied, opted_out
from report_campaign_variant
where campaign_id = :campaign_id
order by variant, attempt;

-- name: read_times(campaign_id)
select measure, messages, p50, p90, p95, p99, within_5s, within_60s
from report_campaign_time
where campaign_id = :campaign_id
order by measure;

-- name: list_campaigns(entities, most)
-- The newest campaigns of the entities, with their figures where they were refreshed.
select c.id, c.entity, c.name, c.state, c.state_reason, c.created_at, c.started_at, c.sent_at,
       r.target, r.excluded, r.accepted, r.delivered, r.read, r.failed, r.rejected, r.uncertain, r.replied,
       r.opted_out, r.awaiting, r.waiting, r.sending, r.balance, r.cost, r.cost_currency, r.cost_estimated,
       r.refreshed_at
from campaign c
left join report_campaign r on r.campaign_id = c.id
where c.entity = any (:entities)
order by c.id desc
limit :most;

-- name: one_recipient(month, campaign_id, subscription_id)^
-- One person in one campaign, with their present subscription.
select m.subscription_id, m.reference, m.state, m.reason, m.error_source, m.error_code, m.country, m.language, m.variant,
       m.attempt, m.consent_event_id, m.claimed_at, m.accepted_at, m.delivered_at, m.read_at, m.failed_at, m.replied_at,
       m.clicked_at, m.opted_out_at, m.price, m.currency, s.phone, s.status as subscription_status,
       s.status_at as subscription_status_at, s.reachability
from campaign_message m
join subscription s on s.id = m.subscription_id
where m.month = :month and m.campaign_id = :campaign_id and m.subscription_id = :subscription_id;

-- name: consent_of(consent_event_id)^
-- The proof that allowed the message.
select id, action, occurred_at, recorded_at, source, source_record_id, collection_point, method, wording_id,
       wording_language
from consent_event
where id = :consent_event_id;

-- name: events_of(month, campaign_id, subscription_id)
-- Every status received for the person, in the order it happened.
select attempt, status, error_code, occurred_at, recorded_at, source
from message_event
where month = :month and campaign_id = :campaign_id and subscription_id = :subscription_id
order by occurred_at, recorded_at, status;

-- name: replies_of(campaign_id, subscription_id)
-- What kind of reply came when; never its text.
select kind, occurred_at, source
from inbound_message
where campaign_id = :campaign_id and subscription_id = :subscription_id
order by occurred_at, id;
