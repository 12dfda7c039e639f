-- Every read takes the month too: it is the ledger's partition. Nothing here changes the ledger.

-- name: changed_campaigns(entity)
-- Campaigns of the entity with a change that is not in their roll-up, the oldest first. Safe beside writers.
select c.id
from campaign c
where c.entity = :entity and c.forgotten_at is null
  and exists (select from report_change n where n.campaign_id = c.id)
order by c.id;

-- name: all_campaigns(entity)
-- Every campaign of the entity, for a refresh from scratch (after rates changed).
select id from campaign where entity = :entity and forgotten_at is null order by id;

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
       c.settled_at, c.approved_by, c.approved_at, c.run_key, c.forgotten_at
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

-- name: count_links(campaign_id)
-- Tracked buttons: people, their clicks, and fetches by machines.
select l.id as link_id, l.template, l.language, l.button, l.label, l.target,
       count(*) filter (where not k.is_robot) as people,
       coalesce(sum(k.clicks) filter (where not k.is_robot), 0)::bigint as clicks,
       coalesce(sum(k.clicks) filter (where k.is_robot), 0)::bigint as robots
from link l left join link_click k on k.link_id = l.id
where l.campaign_id = :campaign_id
group by l.id
order by clicks desc, l.id;

-- name: count_hours(month, campaign_id)
-- What happened in each hour (UTC). People with the same hours are counted together first: a few thousand groups
-- instead of five rows per person, half the time (200,000 people).
with cells as materialized (
    select date_bin('1 hour', accepted_at, 'epoch') as accepted, date_bin('1 hour', delivered_at, 'epoch') as delivered,
           date_bin('1 hour', read_at, 'epoch') as read, date_bin('1 hour', replied_at, 'epoch') as replied,
           date_bin('1 hour', opted_out_at, 'epoch') as opted_out, count(*) as people
    from campaign_message
    where month = :month and campaign_id = :campaign_id
    group by 1, 2, 3, 4, 5
)
select happened.hour,
       coalesce(sum(people) filter (where happened.what = 'accepted'), 0)::bigint as accepted,
       coalesce(sum(people) filter (where happened.what = 'delivered'), 0)::bigint as delivered,
       coalesce(sum(people) filter (where happened.what = 'read'), 0)::bigint as read,
       coalesce(sum(people) filter (where happened.what = 'replied'), 0)::bigint as replied,
       coalesce(sum(people) filter (where happened.what = 'opted_out'), 0)::bigint as opted_out
from cells
cross join lateral (values ('accepted', accepted), ('delivered', delivered), ('read', read), ('replied', replied),
                           ('opted_out', opted_out)) as happened (what, hour)
where happened.hour is not null
group by happened.hour
order by happened.hour;

-- name: count_days(month, campaign_id)
-- What became of the messages accepted on each day (UTC).
select (accepted_at at time zone 'UTC')::date as day,
       count(*) as accepted,
       count(*) filter (where state in ('delivered', 'read')) as delivered,
       count(*) filter (where state = 'read') as read,
       count(*) filter (where state = 'failed') as failed,
       count(*) filter (where state = 'failed' and error_code in (59, 131026)) as undeliverable,
       count(*) filter (where state = 'failed' and error_code in (63, 131048, 131049)) as limited,
       count(*) filter (where state = 'failed' and error_code = 131050) as stopped,
       count(*) filter (where opted_out_at <= coalesce(delivered_at, accepted_at) + interval '7 days') as opted_out
from campaign_message
where month = :month and campaign_id = :campaign_id and state in ('accepted', 'failed', 'delivered', 'read')
  and accepted_at is not null
group by 1
order by 1;

-- name: count_times(month, campaign_id)
-- How long it took, in seconds: one pass, one sort of numbers per measure. CM.com's clock and ours may differ: a negative
-- time counts as 0.
with took as (
    select case when delivered_at >= accepted_at then date_part('epoch', delivered_at - accepted_at) when delivered_at < accepted_at then 0 end as deliver,
           case when read_at >= delivered_at then date_part('epoch', read_at - delivered_at) when read_at < delivered_at then 0 end as read,
           case when replied_at >= delivered_at then date_part('epoch', replied_at - delivered_at) when replied_at < delivered_at then 0 end as reply
    from (select accepted_at, delivered_at, read_at, replied_at from campaign_message
          where month = :month and campaign_id = :campaign_id and delivered_at is not null) reached
), shares as (
    select count(deliver) as deliver_messages, count(read) as read_messages, count(reply) as reply_messages,
           percentile_cont(array[0.5, 0.9, 0.95, 0.99]) within group (order by deliver) as deliver_p,
           percentile_cont(array[0.5, 0.9, 0.95, 0.99]) within group (order by read) as read_p,
           percentile_cont(array[0.5, 0.9, 0.95, 0.99]) within group (order by reply) as reply_p,
           count(*) filter (where deliver <= 5) as deliver_5, count(*) filter (where deliver <= 60) as deliver_60,
           count(*) filter (where read <= 5) as read_5, count(*) filter (where read <= 60) as read_60,
           count(*) filter (where reply <= 5) as reply_5, count(*) filter (where reply <= 60) as reply_60
    from took
)
select m.measure, m.messages, m.p[1] as p50, m.p[2] as p90, m.p[3] as p95, m.p[4] as p99, m.within_5s, m.within_60s
from shares
cross join lateral (values ('deliver', deliver_messages, deliver_p, deliver_5, deliver_60),
                           ('read', read_messages, read_p, read_5, read_60),
                           ('reply', reply_messages, reply_p, reply_5, reply_60))
     as m (measure, messages, p, within_5s, within_60s)
where m.messages > 0
order by m.measure;

-- name: write_campaign(campaign_id, target, excluded, planned, waiting, sending, uncertain, expired, rejected, accepted, awaiting, failed, delivered, read, clicked, clicks, replied, opted_out, balance, cost, cost_currency, cost_estimated, cost_unpriced, last_accepted_at, refreshed_at)!
-- The funnel of one campaign, new or replaced.
merge into report_campaign old
using (select :campaign_id::bigint as campaign_id) new on old.campaign_id = new.campaign_id
when matched then update set
    target = :target, excluded = :excluded, planned = :planned, waiting = :waiting, sending = :sending,
    uncertain = :uncertain, expired = :expired, rejected = :rejected, accepted = :accepted, awaiting = :awaiting,
    failed = :failed, delivered = :delivered, read = :read, clicked = :clicked, clicks = :clicks, replied = :replied,
    opted_out = :opted_out, balance = :balance, cost = :cost, cost_currency = :cost_currency,
    cost_estimated = :cost_estimated, cost_unpriced = :cost_unpriced, last_accepted_at = :last_accepted_at,
    refreshed_at = :refreshed_at
when not matched then insert
    (campaign_id, target, excluded, planned, waiting, sending, uncertain, expired, rejected, accepted, awaiting, failed,
     delivered, read, clicked, clicks, replied, opted_out, balance, cost, cost_currency, cost_estimated, cost_unpriced,
     last_accepted_at, refreshed_at)
values
    (:campaign_id, :target, :excluded, :planned, :waiting, :sending, :uncertain, :expired, :rejected, :accepted,
     :awaiting, :failed, :delivered, :read, :clicked, :clicks, :replied, :opted_out, :balance, :cost, :cost_currency,
     :cost_estimated, :cost_unpriced, :last_accepted_at, :refreshed_at);

-- name: forget_parts(campaign_id)!
-- Empty the breakdowns of one campaign before they are written again, in the same transaction.
with reason as (delete from report_campaign_reason where campaign_id = :campaign_id),
     country as (delete from report_campaign_country where campaign_id = :campaign_id),
     hour as (delete from report_campaign_hour where campaign_id = :campaign_id),
     variant as (delete from report_campaign_variant where campaign_id = :campaign_id),
     link as (delete from report_campaign_link where campaign_id = :campaign_id),
     day as (delete from report_campaign_day where campaign_id = :campaign_id)
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

-- name: write_day(campaign_id, day, accepted, delivered, read, failed, undeliverable, limited, stopped, opted_out)*!
insert into report_campaign_day
    (campaign_id, day, accepted, delivered, read, failed, undeliverable, limited, stopped, opted_out)
values (:campaign_id, :day, :accepted, :delivered, :read, :failed, :undeliverable, :limited, :stopped, :opted_out);

-- name: write_link(campaign_id, link_id, people, clicks, robots)*!
insert into report_campaign_link (campaign_id, link_id, people, clicks, robots)
values (:campaign_id, :link_id, :people, :clicks, :robots);

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

-- name: read_links(campaign_id)
select l.id as link_id, l.template, l.language, l.button, l.label, l.target, coalesce(r.people, 0) as people,
       coalesce(r.clicks, 0) as clicks, coalesce(r.robots, 0) as robots
from link l left join report_campaign_link r on r.campaign_id = l.campaign_id and r.link_id = l.id
where l.campaign_id = :campaign_id
order by clicks desc, l.id;

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
