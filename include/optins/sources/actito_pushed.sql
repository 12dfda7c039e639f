-- name: forget_applied(entity, source)!
-- Announcements whose profiles have reached the subscription table. Repeatable.
delete from pushed_record p using sync_run r
where p.entity = :entity and p.source = :source and r.id = p.sync_run_id and r.state = 'applied';

-- name: announced(entity, source, sync_run_id, most)
-- Announcements that no pull has taken, the oldest first; a pull that was lost, or this very one, has taken none. Read only.
select p.digest, p.record, p.received_at
from pushed_record p left join sync_run r on r.id = p.sync_run_id
where p.entity = :entity and p.source = :source
  and (p.sync_run_id is null or p.sync_run_id = :sync_run_id or r.state in ('lost', 'failed') or r.id is null)
order by p.received_at, p.digest
limit :most;

-- name: take(entity, source, sync_run_id, digests)!
-- Note which pull has read the announced profiles, in its transaction.
update pushed_record set sync_run_id = :sync_run_id
where entity = :entity and source = :source and digest = any (:digests::bytea[]);
