-- name: forget_reply_texts(entity, before)!
-- Texts, payloads and raw JSON of old replies; who replied when, and what kind it was, stays countable.
update inbound_message set text = null, payload = null, media_uri = null, raw = null
where entity = :entity and received_at < :before
  and (text is not null or payload is not null or media_uri is not null or raw is not null);

-- name: forget_set_aside(entity, before)!
-- Bodies of events that fit no message of ours.
update set_aside set body = null where entity = :entity and received_at < :before and body is not null;

-- name: forget_rejects(entity, before)!
-- Records that were not taken.
delete from rejected_record where entity = :entity and rejected_at < :before;

-- name: forget_pushed(entity, before)!
-- Records that a source sent and no pull has taken: its file is gone, or its Dag is switched off.
delete from pushed_record where entity = :entity and received_at < :before;

-- name: forget_variables(entity, before)!
-- What was written into messages, once they are as old as texts may be.
update campaign_message m set variables = null
from campaign c
where c.entity = :entity and c.created_at < :before and m.campaign_id = c.id and m.month = c.month
  and m.variables is not null;

-- name: people_of_record(entity, source, source_record_id)
-- Everybody a source's record ever spoke of. Read only.
select distinct e.subscription_id as id
from consent_event e join subscription s on s.id = e.subscription_id
where s.entity = :entity and e.source = :source and e.source_record_id = :source_record_id
union
select r.subscription_id from source_record r
where r.entity = :entity and r.source = :source and r.record_id = :source_record_id and r.subscription_id is not null
order by id;

-- name: suppress_for_good(people)!
-- The hash of the number stays, so that no source brings the person back (C10, C11).
insert into suppression (entity, person_hash, reason, source)
select entity, person_hash, 'erased', 'privacy' from subscription where id = any (:people::bigint[]) and person_hash is not null
on conflict (entity, person_hash) do update set reason = 'erased', source = 'privacy';

-- name: record_erasure(people, now, actor, source, source_record_id)!
-- The proof that it was done.
insert into consent_event (subscription_id, action, occurred_at, source, source_record_id, method, actor)
select id, 'erase', :now, :source, :source_record_id, 'erasure', :actor
from subscription where id = any (:people::bigint[]) and status <> 'erased'
on conflict do nothing;

-- name: blank_people(people, now)!
-- Everything that says who it is.
update subscription
set status = 'erased', status_at = :now, phone = null, match_key = null, language = null, time_zone = null, bsuid = null,
    attributes = '{}', last_inbound_at = null, updated_at = :now
where id = any (:people::bigint[]) and status <> 'erased';

-- name: blank_records(people)!
-- What the sources said about them.
update source_record set attributes = '{}', language = null, phone_key = null where subscription_id = any (:people::bigint[]);

-- name: blank_replies(people)!
-- What they wrote.
update inbound_message set text = null, payload = null, media_uri = null, raw = null
where subscription_id = any (:people::bigint[]);

-- name: expire_media(people)!
-- What they sent is deleted from the entity's folder with the next run, whatever its age.
update kept_media k set state = 'expired'
from inbound_message m
where m.id = k.inbound_id and m.subscription_id = any (:people::bigint[]) and k.state in ('due', 'done');

-- name: blank_messages(people)!
-- What was written to them. The rows stay: figures must not change when a person leaves.
update campaign_message set variables = null where subscription_id = any (:people::bigint[]) and variables is not null;

-- name: drop_planned(people, now)!
-- Nothing more is sent to them.
update campaign_message set state = 'excluded', reason = 'suppressed', updated_at = :now
where subscription_id = any (:people::bigint[]) and state = 'planned';

-- name: campaigns_to_forget(entity, before)
-- Campaigns that are over for longer than their rows are kept, and whose figures are counted. Read only.
select c.id, c.month
from campaign c
join report_campaign r on r.campaign_id = c.id
where c.entity = :entity and c.created_at < :before and c.state in ('settled', 'cancelled', 'refused')
  and c.forgotten_at is null and not exists (select from report_change n where n.campaign_id = c.id)
order by c.id;

-- name: remember_clicks(month, campaign_id)!
-- When people last clicked outlives the rows that tell of it. Repeatable.
update subscription s
set last_action_at = greatest(s.last_action_at, m.clicked_at)
from campaign_message m
where m.month = :month and m.campaign_id = :campaign_id and m.clicked_at is not null and s.id = m.subscription_id
  and m.clicked_at > coalesce(s.last_action_at, '-infinity');

-- name: forget_events(month, campaign_id)!
-- Statuses of a campaign.
delete from message_event where month = :month and campaign_id = :campaign_id;

-- name: forget_clicks(campaign_id)!
-- Who opened its links; how many did stands in report_campaign_link.
delete from link_click where link_id in (select id from link where campaign_id = :campaign_id);

-- name: forget_messages(month, campaign_id)!
-- Who was in the campaign.
delete from campaign_message where month = :month and campaign_id = :campaign_id;

-- name: note_forgotten(campaign_id, now)!
-- From now on the figures are what was counted last.
update campaign set forgotten_at = :now where id = :campaign_id;

-- name: forget_replies(entity, before)!
-- Who replied when. Answers and forwards of a reply go with it; one whose media are still kept stays until they are gone.
with old as (
    select id from inbound_message m
    where m.entity = :entity and m.received_at < :before and not exists (
        select from kept_media k where k.inbound_id = m.id and k.state in ('due', 'done', 'expired'))
), forwards as (
    delete from reply_outbox where inbound_id in (select id from old)
), answers as (
    delete from answer where inbound_id in (select id from old)
), media as (
    delete from kept_media where inbound_id in (select id from old)
)
delete from inbound_message where id in (select id from old);

-- name: forget_strangers(entity, before)!
-- Events that fit no message of ours.
delete from set_aside where entity = :entity and received_at < :before;
