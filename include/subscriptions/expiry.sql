-- name: unconfirmed(entity, now, days)
-- Pending people who were asked, or could have been, so many days ago by our clock, and whose question is not on its way.
-- Read only.
select s.id
from subscription s
join consent_event e on e.id = s.consent_event_id
where s.entity = :entity and s.status = 'pending'
  and e.recorded_at < :now::timestamptz - make_interval(days => :days)
  and not exists (
      select from campaign_message m
      join campaign c on c.id = m.campaign_id and c.month = m.month
      where m.subscription_id = s.id and c.entity = :entity and (c.parameters ->> 'confirms')::boolean
        and (m.state = 'planned' or m.claimed_at > :now::timestamptz - make_interval(days => :days))
  )
order by s.id;

-- name: add_expiries(people, now, method)!
-- The end of a yes, as an event like any other: a newer yes lifts it. Repeatable within one moment.
insert into consent_event (subscription_id, action, occurred_at, source, source_record_id, method)
select s.id, 'expire', greatest(:now::timestamptz, s.status_at), 'expiry', s.consent_event_id::text, :method
from subscription s
where s.id = any (:people::bigint[]) and s.status in ('pending', 'subscribed')
on conflict do nothing;

-- name: inactive(entity, before)
-- Subscribed people who have done nothing themselves since. What a row says by itself is asked first. Read only.
select s.id
from subscription s
where s.entity = :entity and s.status = 'subscribed' and s.status_at < :before
  and coalesce(s.last_inbound_at < :before, true) and coalesce(last_own_action(s) < :before, true)
order by s.id;
