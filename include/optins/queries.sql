-- name: lock_source(entity, source)!
-- One pull of a source at a time, until the transaction ends. A second one waits, then pulls what is new since the first.
select pg_advisory_xact_lock(hashtextextended('pull:' || :entity || ':' || :source, 0));

-- name: watermark(entity, source, run_key)$
-- How far a source has been taken over. A run counts once it is applied, so rows that were staged and lost come again. Read only.
select max(watermark) from sync_run
where entity = :entity and source = :source and state = 'applied' and run_key is distinct from :run_key;

-- name: last_shape(entity, source, run_key, whole, min_records, changed_on)$
-- What the source's records looked like when it was last read in earnest. Everything a source has and what changed since
-- the day before look different, so a whole pull is compared with a whole one. Read only.
select shape from sync_run
where entity = :entity and source = :source and state in ('applied', 'staged', 'held') and run_key is distinct from :run_key
  and shape is not null and (since is null) = :whole and pulled >= :min_records and started_at >= coalesce(:changed_on::date, '-infinity'::date)
order by id desc
limit 1;

-- name: forget_run(entity, source, run_key)!
-- Remove what an earlier try of the same run left: its staged rows. Safe to repeat.
delete from optin_staging s
using sync_run r
where r.entity = :entity and r.source = :source and r.run_key = :run_key and s.sync_run_id = r.id;

-- name: forget_rejects(entity, source, run_key)!
-- Remove the rejects of an earlier try of the same run. Safe to repeat.
delete from rejected_record x
using sync_run r
where r.entity = :entity and r.source = :source and r.run_key = :run_key and x.sync_run_id = r.id;

-- name: known_files(entity, source, run_key)
-- Marks and stamps of the files that need not be read again. Those of a lost or failed run are read again. Read only.
select distinct f.mark, f.stamp
from source_file f
join sync_run r on r.id = f.sync_run_id
where r.entity = :entity and r.source = :source and r.run_key is distinct from :run_key
  and r.state in ('staged', 'held', 'applied');

-- name: forget_files(entity, source, run_key)!
-- Remove what an earlier try of the same run remembered. Safe to repeat.
delete from source_file f
using sync_run r
where r.entity = :entity and r.source = :source and r.run_key = :run_key and f.sync_run_id = r.id;

-- name: remember_files(run_id, name, mark, stamp)*!
-- The files this run has read.
insert into source_file (sync_run_id, name, mark, stamp) values (:run_id, :name, :mark, :stamp);

-- name: restamp_files(entity, source, run_key, mark, stamp)*!
-- Files that had to be read to be recognised: next time their stamp suffices. It stays with the run that took them, so
-- that they are read again should that run be lost. Safe to repeat.
update source_file f set stamp = :stamp
from sync_run r
where r.id = f.sync_run_id and r.entity = :entity and r.source = :source and r.run_key is distinct from :run_key
  and f.mark = :mark and f.stamp is distinct from :stamp;

-- name: open_run(entity, source, run_key, since, now, collection_point, method, wording_id, double_opt_in)$
-- The run's row, new or taken up again. It becomes visible with everything that was pulled, or not at all.
insert into sync_run (entity, source, run_key, state, since, started_at, collection_point, method, wording_id, double_opt_in)
values (:entity, :source, :run_key, 'pulling', :since, :now, :collection_point, :method, :wording_id, :double_opt_in)
on conflict (entity, source, run_key) do update
set state = 'pulling', since = excluded.since, started_at = excluded.started_at, finished_at = null, watermark = null, shape = null,
    pulled = 0, staged = 0, rejected = 0, outcome = '{}', problem = null,
    collection_point = excluded.collection_point, method = excluded.method, wording_id = excluded.wording_id,
    double_opt_in = excluded.double_opt_in, released_by = null, asked_until = null
returning id;

-- name: close_run(watermark, shape, pulled, staged, rejected, run_id)!
-- Everything of the run is staged.
update sync_run
set state = 'staged', watermark = :watermark, shape = :shape, pulled = :pulled, staged = :staged, rejected = :rejected,
    finished_at = clock_timestamp()
where id = :run_id;

-- name: failed_run(entity, source, run_key, now, problem)!
-- A pull that came to nothing, so that it is seen. An earlier, complete try of the same run is left as it is.
insert into sync_run (entity, source, run_key, state, started_at, finished_at, problem)
values (:entity, :source, :run_key, 'failed', :now, clock_timestamp(), :problem)
on conflict (entity, source, run_key) do update
set started_at = excluded.started_at, finished_at = excluded.finished_at, problem = excluded.problem
where sync_run.state = 'failed';
