-- name: want(inbound_id, entity)!
-- Put a reply's media on its way. Repeatable.
insert into kept_media (inbound_id, entity) values (:inbound_id, :entity) on conflict do nothing;

-- name: due(entity, now)^
-- One reply's media that is due, locked; other workers take others.
select k.inbound_id, k.attempts, k.created_at, m.media_uri, m.occurred_at
from kept_media k join inbound_message m on m.id = k.inbound_id
where k.entity = :entity and k.state = 'due' and k.next_attempt_at <= :now
order by k.next_attempt_at, k.inbound_id
limit 1 for update of k skip locked;

-- name: outcome(inbound_id, state, attempts, next_attempt_at, problem, done_at, name, bytes)!
-- What became of an attempt.
update kept_media
set state = :state, attempts = :attempts, next_attempt_at = :next_attempt_at, problem = :problem, done_at = :done_at,
    name = :name, bytes = :bytes
where inbound_id = :inbound_id;

-- name: old(entity, before)^
-- One file whose time is over, locked.
select inbound_id, name from kept_media
where entity = :entity and (state = 'done' and done_at < :before or state = 'expired')
order by inbound_id
limit 1 for update skip locked;

-- name: deleted(inbound_id)!
-- Its file is gone.
update kept_media set state = 'deleted', name = null where inbound_id = :inbound_id;
