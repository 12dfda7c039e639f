-- name: statuses(entity)
-- People of the entity by the state of their subscription, as last counted.
select status, people, refreshed_at
from report_subscription
where entity = :entity and people > 0
order by people desc, status;

-- name: lock_statuses(entity)
-- One count of an entity at a time. Released at the end of the transaction.
select pg_advisory_xact_lock(hashtextextended('report_subscription:' || :entity, 0))::text;

-- name: newest_event()$
-- The consent ledger's newest event.
select coalesce(max(id), 0) from consent_event;

-- name: counted_event(entity)$
-- The newest event that the stored counts know; null before the first count.
select min(consent_event_id) from report_subscription where entity = :entity;

-- name: count_statuses(entity, consent_event_id, now)!
-- Count and store, in one statement; a status that nobody has any more becomes 0.
with counted as (
    select status, count(*) as people from subscription where entity = :entity group by status
)
insert into report_subscription (entity, status, people, consent_event_id, refreshed_at)
select :entity, status, coalesce(counted.people, 0), :consent_event_id, :now
from counted full join (select status from report_subscription where entity = :entity) known using (status)
on conflict (entity, status) do update
set people = excluded.people, consent_event_id = excluded.consent_event_id, refreshed_at = excluded.refreshed_at;

-- name: runs(entity, most)
-- The newest pulls.
select id, source, state, started_at, finished_at, watermark, pulled, staged, rejected, outcome, problem, released_by
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

-- name: comparisons(entity)
-- Each source as it was last compared with our table. Read only.
select source, compared_at, records, alerts, differences from optin_comparison where entity = :entity order by source;

-- name: untold_export(entity)
-- Opt-outs that a source has not taken, ready for a spreadsheet.
select spreadsheet_text(o.source) as source, spreadsheet_text(o.source_record_id) as record_id, utc_text(e.occurred_at) as said_at,
       o.state, o.attempts, spreadsheet_text(o.problem) as problem
from optout_outbox o
join consent_event e on e.id = o.consent_event_id
where o.entity = :entity and o.state <> 'done'
order by o.source, o.id;

-- name: differences_export(entity)
-- What the last comparisons found, ready for a spreadsheet.
select spreadsheet_text(d.source) as source, spreadsheet_text(d.record_id) as record_id, d.difference, d.is_alert,
       utc_text(d.said_there_at) as said_there_at, utc_text(d.said_here_at) as said_here_at,
       utc_text(d.compared_at) as compared_at
from optin_difference d
where d.entity = :entity
order by not d.is_alert, d.source, d.difference, d.record_id;
