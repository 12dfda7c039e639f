-- name: set_aside(entity, reason, body)!
-- Keep what can never be taken, once a reason: a sender of nonsense must not fill the disk. Repeatable.
insert into set_aside (entity, kind, reason, reference, body)
values (:entity, 'unreadable', :reason, null, :body)
on conflict do nothing;
