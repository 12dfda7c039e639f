-- name: recent_results(campaign_id, month, last, since, forgiven)^
-- Among the newest final statuses of a campaign: how many failed for another reason than the person's own, and how many
-- people said stop meanwhile. Read only, an index range of `last` rows.
with newest as (
    select e.status, e.error_code, e.recorded_at
    from message_event e
    where e.campaign_id = :campaign_id and e.month = :month and e.recorded_at > :since
      and e.status in ('delivered', 'failed', 'rejected')
    order by e.recorded_at desc
    limit :last
)
select count(*) as results,
       count(*) filter (where status <> 'delivered' and not coalesce(error_code = any (:forgiven::integer[]), false)) as failed,
       (select count(distinct i.subscription_id) from inbound_message i
        where i.campaign_id = :campaign_id and i.kind = 'stop'
          and i.received_at >= (select min(recorded_at) from newest)) as stopped
from newest;

-- name: stopping_code(campaign_id, month, since, codes)^
-- A failure whose code stops a campaign at once, the most frequent one. Read only.
select e.error_code, count(*) as messages
from message_event e
where e.campaign_id = :campaign_id and e.month = :month and e.recorded_at > :since
  and e.status in ('failed', 'rejected') and e.error_code = any (:codes::integer[])
group by e.error_code
order by messages desc
limit 1;

-- name: unknown_codes(campaign_id, month, since, known)
-- Failures with a code that is in no table of ours. Read only.
select e.error_code, count(*) as messages
from message_event e
where e.campaign_id = :campaign_id and e.month = :month and e.recorded_at > :since
  and e.status in ('failed', 'rejected') and e.error_code <> all (:known::integer[])
group by e.error_code
order by e.error_code;

-- name: close_countries(campaign_id, month, since, codes)
-- planned -> excluded for the countries of messages that failed with codes that say we may not write there. Rows that are being
-- claimed at this moment are skipped; the next look finds those that were not sent. Returns people per country.
with closed as materialized (
    select distinct m.country
    from message_event e
    join campaign_message m on m.month = e.month and m.campaign_id = e.campaign_id and m.subscription_id = e.subscription_id
    where e.campaign_id = :campaign_id and e.month = :month and e.recorded_at > :since
      and e.status in ('failed', 'rejected') and e.error_code = any (:codes::integer[]) and m.country is not null
), open as (
    select m.subscription_id
    from campaign_message m
    where m.month = :month and m.campaign_id = :campaign_id and m.state = 'planned'
      and m.country in (select country from closed)
    for update skip locked
), left_out as (
    update campaign_message m
    set state = 'excluded', reason = 'country_closed', updated_at = clock_timestamp()
    from open
    where m.month = :month and m.campaign_id = :campaign_id and m.subscription_id = open.subscription_id
    returning m.country
)
select country, count(*) as people from left_out group by country order by country;

-- name: note_once(campaign_id, state, reason)
-- One line of the campaign's history, unless it stands there.
insert into campaign_history (campaign_id, state, reason)
select :campaign_id, :state, :reason
where not exists (select from campaign_history where campaign_id = :campaign_id and reason = :reason)
returning id;

-- name: number_quality(campaign_id)^
-- What a person last said of the quality of the campaign's number. Read only.
select i.quality, i.quality_by from integration i join campaign c on c.connection_id = i.connection_id
where c.id = :campaign_id;

-- name: pause_others(campaign_id, everything, reason, now)!
-- sending or approved -> paused for the other campaigns of the same integration (`everything`), or for those of the entity
-- that use a template of this one.
with stopped as (
    select c.id, c.entity, c.connection_id,
           array(select jsonb_object_keys(coalesce(c.parameters -> 'texts', '{}'))) || (c.parameters ->> 'template') as texts
    from campaign c where c.id = :campaign_id
)
update campaign c
set state = 'paused', state_reason = :reason, updated_at = :now
from stopped s
where c.id <> s.id and c.state in ('approved', 'sending') and c.connection_id = s.connection_id
  and (:everything or c.entity = s.entity and (c.parameters ->> 'template' = any (s.texts)
                                               or coalesce(c.parameters -> 'texts', '{}') ?| s.texts));

-- name: unsendable_template(campaign_id)^
-- A template of the campaign, in a language that is still planned, that may no longer be sent. Read only.
select t.name, t.language, case when t.quality = 'RED' and t.status = 'APPROVED' then 'of quality RED' else t.status end as status
from campaign c
join template t on t.entity = c.entity and (t.status <> 'APPROVED' or t.quality = 'RED')
 and (t.name = c.parameters ->> 'template'
      or t.name in (select v ->> 'template' from jsonb_array_elements(c.parameters -> 'variants') v))
where c.id = :campaign_id
  and exists (select from campaign_message m where m.month = c.month and m.campaign_id = c.id and m.state = 'planned'
              and m.language = t.language)
limit 1;

-- name: probe(campaign_id, month, forgiven)^
-- What became of the probe: `open` has not left, `waiting` has no final status. Read only.
select count(*) filter (where state <> 'excluded') as messages,
       count(*) filter (where state in ('planned', 'sending')) as open,
       count(*) filter (where state in ('accepted', 'uncertain')) as waiting,
       count(*) filter (where state in ('failed', 'rejected')
                        and not coalesce(error_code = any (:forgiven::integer[]), false)) as failed,
       max(claimed_at) as last_left
from campaign_message
where month = :month and campaign_id = :campaign_id and wave = 0;

-- name: open_everybody(campaign_id)!
-- The probe was good: the rest may be claimed.
update campaign set open_wave = 1, updated_at = now() where id = :campaign_id and open_wave = 0;

-- name: retry_failed(campaign_id, month, codes, others, most_attempts, delay)!
-- failed -> planned for another attempt, not before `delay` after the failure. The same row, a new reference. With `others`
-- it is about every code that is none of `codes`.
update campaign_message m
set state = 'planned', attempt = m.attempt + 1, not_before = m.failed_at + :delay::interval,
    claimed_by = null, claimed_at = null, accepted_at = null, failed_at = null, error_code = null, error_source = null,
    logged_at = null, updated_at = clock_timestamp()
from campaign c
where c.id = :campaign_id and c.state = 'sending' and m.month = c.month and m.campaign_id = c.id
  and m.month = :month and m.state = 'failed' and case when :others then m.error_code <> all (:codes::integer[])
                                               else m.error_code = any (:codes::integer[]) end
  and m.attempt < :most_attempts and m.failed_at + :delay::interval < c.expires_at;

-- name: still_open(campaign_id, month, since)^
-- Whether messages that left after a time lack a final status, and when a planned one is due. Read only.
select exists (select from campaign_message m where m.month = :month and m.campaign_id = :campaign_id
               and m.state = 'accepted' and m.claimed_at > :since) as awaiting,
       (select min(m.not_before) from campaign_message m
        where m.month = :month and m.campaign_id = :campaign_id and m.state = 'planned') as next_due;
