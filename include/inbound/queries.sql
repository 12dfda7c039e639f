-- name: find(entities, match_key, month, campaign_id, subscription_id, attempt, occurred_at)
-- Whom a message is from and what it answers, best first: the message it names; the last one sent to the number within
-- a week (a reply can be here before the gateway's own answer: then it left when it was claimed); the number alone.
-- Several entities can share one sender. Read only.
with by_number as (
    select id, entity from subscription where entity = any(:entities::text[]) and match_key = :match_key
)
select c.entity, coalesce(n.id, m.subscription_id) as subscription_id, m.subscription_id as addressee, m.month,
       m.campaign_id, m.reference, m.language, 1 as preference, coalesce(m.accepted_at, m.claimed_at) as sent_at
from campaign_message m
join campaign c on c.id = m.campaign_id and c.entity = any(:entities::text[])
left join by_number n on n.entity = c.entity
where m.month = :month::integer and m.campaign_id = :campaign_id::bigint and m.subscription_id = :subscription_id::bigint
  and :attempt::integer <= m.attempt and m.state <> 'excluded'
union all
(select n.entity, n.id, m.subscription_id, m.month, m.campaign_id, m.reference, m.language, 2,
        coalesce(m.accepted_at, m.claimed_at)
 from by_number n join campaign_message m on m.subscription_id = n.id
 where coalesce(m.accepted_at, m.claimed_at) between :occurred_at::timestamptz - interval '7 days'
                                                 and :occurred_at::timestamptz + interval '5 minutes'
 order by coalesce(m.accepted_at, m.claimed_at) desc limit 1)
union all
select n.entity, n.id, null, null, null, null, null, 3, null from by_number n
order by preference, sent_at desc nulls last;

-- name: same_through_other_door(entity, subscription_id, text, occurred_at, source)^
-- The row of a message that the other door showed already: same person, same text, two minutes apart at most. Locks it.
select id, kind from inbound_message
where entity = :entity and subscription_id is not distinct from :subscription_id::bigint
  and text is not distinct from :text and occurred_at between :occurred_at::timestamptz - interval '2 minutes'
                                                          and :occurred_at::timestamptz + interval '2 minutes'
  and case :source when 'log' then log_key is null else webhook_key is null end
order by abs(extract(epoch from occurred_at - :occurred_at::timestamptz)), id
limit 1 for update;

-- name: known(entity, key, source)$
-- Whether this door showed this message before. Read only.
select exists (select from inbound_message
               where entity = :entity and case :source when 'log' then log_key = :key else webhook_key = :key end);

-- name: complete(id, key, source, kind, raw, payload, media_uri)!
-- Note that the other door showed the message too; the webhook knows more than the log. Repeatable.
update inbound_message
set webhook_key = case when :source = 'webhook' then :key else webhook_key end,
    log_key = case when :source = 'log' then :key else log_key end,
    kind = :kind, raw = case when :source = 'webhook' or raw is null then :raw::jsonb else raw end, payload = coalesce(:payload, payload), media_uri = coalesce(:media_uri, media_uri)
where id = :id;

-- name: add(entity, key, source, subscription_id, campaign_id, reference, kind, text, payload, media_uri, raw, occurred_at)$
-- Keep a message; nothing comes back when it is known. Safe to repeat and to run concurrently.
insert into inbound_message (entity, webhook_key, log_key, subscription_id, campaign_id, reference, kind, text, payload,
                             media_uri, raw, occurred_at, source)
values (:entity, case when :source = 'webhook' then :key end, case when :source = 'log' then :key end, :subscription_id,
        :campaign_id, :reference, :kind, :text, :payload, :media_uri, :raw::jsonb, :occurred_at, :source)
on conflict do nothing
returning id;

-- name: note_reply(month, campaign_id, subscription_id, occurred_at, opted_out)!
-- The first reply within 72 hours of the delivery and the first opt-out within 7 days count for the campaign
-- (reports: "Replied", "Opt-out rate"). A reply may overtake the delivery's status. Repeatable, in any order.
update campaign_message
set replied_at = case when :occurred_at <= coalesce(delivered_at, accepted_at, claimed_at) + interval '72 hours'
                      then least(replied_at, :occurred_at) else replied_at end,
    opted_out_at = case when :opted_out and :occurred_at <= coalesce(delivered_at, accepted_at, claimed_at) + interval '7 days'
                        then least(opted_out_at, :occurred_at) else opted_out_at end,
    updated_at = statement_timestamp()
where month = :month and campaign_id = :campaign_id and subscription_id = :subscription_id;

-- name: note_person(subscription_id, occurred_at)!
-- Who writes is on WhatsApp. Repeatable, in any order.
update subscription
set last_inbound_at = greatest(last_inbound_at, :occurred_at), reachability = 'confirmed', undeliverable = 0,
    reachability_at = greatest(reachability_at, :occurred_at), updated_at = statement_timestamp()
where id = :subscription_id and (last_inbound_at is null or last_inbound_at < :occurred_at);

-- name: suppress(entity, person_hash, source, said_at)!
-- A number that we do not hold said no: whoever brings it later with an older yes brings it unsubscribed. Repeatable.
insert into suppression as x (entity, person_hash, reason, source, said_at)
values (:entity, :person_hash, 'opted_out', :source, :said_at)
on conflict (entity, person_hash) do update set said_at = excluded.said_at
where x.reason = 'opted_out' and excluded.said_at > x.said_at;

-- name: asks_to_confirm(campaign_id)$
-- Whether a campaign asks people to confirm their yes. Read only.
select coalesce((parameters ->> 'confirms')::boolean, false) from campaign where id = :campaign_id;

-- name: campaign_name(campaign_id)$
-- Read only.
select name from campaign where id = :campaign_id;

-- name: send_on(inbound_id, entity, forwards, occurred_at)!
-- Put a reply into the outbox, once for each place it goes to; it is due since it was written. Repeatable.
insert into reply_outbox (inbound_id, entity, forward, next_attempt_at)
select :inbound_id, :entity, unnest(:forwards::text[]), :occurred_at
on conflict do nothing;

-- name: due(entity, forwards, now)^
-- One reply that is due, locked; other workers take others. `number` is the one that wrote.
select o.inbound_id, o.forward, o.attempts, o.created_at, m.kind, m.text, m.payload, m.media_uri, m.occurred_at, m.reference,
       m.campaign_id, c.name as campaign, coalesce(s.phone, m.raw #>> '{from,number}') as number
from reply_outbox o
join inbound_message m on m.id = o.inbound_id
left join campaign c on c.id = m.campaign_id
left join subscription s on s.id = m.subscription_id
where o.entity = :entity and o.forward = any(:forwards::text[]) and o.state = 'due' and o.next_attempt_at <= :now
order by o.next_attempt_at, o.inbound_id
limit 1 for update of o skip locked;

-- name: forwarded(inbound_id, forward, state, attempts, next_attempt_at, problem, done_at)!
-- What became of an attempt.
update reply_outbox
set state = :state, attempts = :attempts, next_attempt_at = :next_attempt_at, problem = :problem, done_at = :done_at
where inbound_id = :inbound_id and forward = :forward;

-- name: people_of_number(entities, match_key)
-- Whoever has a number, in each of some entities. Read only.
select id, entity from subscription where entity = any (:entities::text[]) and match_key = :match_key order by entity;
