-- name: statuses(entity)
-- People of the entity by the state of their subscription.
select status, count(*) as people
from subscription
where entity = :entity
group by status
order by people desc, status;

-- name: runs(entity, most)
-- The newest pulls.
select id, source, state, started_at, finished_at, watermark, pulled, staged, rejected, outcome, problem
from sync_run
where entity = :entity
order by id desc
limit :most;

-- name: rejects_by_reason(entity, since)
-- Records that were not taken since a time; one that was rejected in several runs counts once, with its newest reason.
select newest.source, newest.reason, count(*) as records, max(newest.rejected_at) as rejected_at
from (
    select distinct on (r.source, coalesce(r.record_id, r.id::text)) r.source, r.reason, r.rejected_at
    from rejected_record r
    where r.entity = :entity and r.rejected_at >= :since
    order by r.source, coalesce(r.record_id, r.id::text), r.id desc
) newest
group by newest.source, newest.reason
order by records desc, newest.source, newest.reason;

-- name: rejects(entity, source, reason, since, after, most)
-- One page of the records behind a line of rejects_by_reason.
select newest.id, newest.record_id, newest.detail, newest.rejected_at
from (
    select distinct on (coalesce(r.record_id, r.id::text)) r.id, r.record_id, r.reason, r.detail, r.rejected_at
    from rejected_record r
    where r.entity = :entity and r.source = :source and r.rejected_at >= :since
    order by coalesce(r.record_id, r.id::text), r.id desc
) newest
where newest.reason = :reason and newest.id > :after
order by newest.id
limit :most;

-- name: rejects_export(entity, since)
-- All of them, ready for a spreadsheet.
select distinct on (r.source, coalesce(r.record_id, r.id::text))
       spreadsheet_text(r.source) as source, spreadsheet_text(r.record_id) as record_id, r.reason,
       spreadsheet_text(r.detail) as detail, utc_text(r.rejected_at) as rejected_at, r.sync_run_id
from rejected_record r
where r.entity = :entity and r.rejected_at >= :since
order by r.source, coalesce(r.record_id, r.id::text), r.id desc;
