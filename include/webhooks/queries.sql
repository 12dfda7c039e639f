-- name: set_aside(entity, reason, body)!
-- Keep what can never be taken, once a reason: a sender of nonsense must not fill the disk. Repeatable.
insert into set_aside (entity, kind, reason, reference, body)
values (:entity, 'unreadable', :reason, null, :body)
on conflict do nothing;

-- name: push(entity, source, records, now)!
-- Keep what a source sends for its next pull, in the order of the list. The same record again is received anew, so that a
-- yes, a no and the same yes end as they came. Safe to repeat and to run concurrently.
insert into pushed_record (entity, source, digest, record, received_at)
select :entity, :source, decode(digest, 'hex'), record, :now::timestamptz + position * interval '1 microsecond'
from (select distinct on (digest) digest, record, position
      from rows from (json_to_recordset(:records::json) as (digest text, record jsonb)) with ordinality
           as given (digest, record, position)
      order by digest, position desc) newest
order by digest
on conflict (entity, source, digest) do update
set received_at = excluded.received_at, sync_run_id = null;
