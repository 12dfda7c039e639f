-- name: claim(entity, source, now, most)
-- Opt-outs that are due at a source, oldest first, held until the transaction ends; what another worker holds is skipped.
select o.id, o.source_record_id, o.attempts, e.occurred_at
from optout_outbox o
join consent_event e on e.id = o.consent_event_id
where o.entity = :entity and o.source = :source and o.state = 'due' and o.next_attempt_at <= :now
order by o.id
limit :most
for update of o skip locked;

-- name: settle(now, ids, problems, finals, laters)!
-- What became of those claimed: told, to be tried again (1, 2, 4 … minutes later, at most 6 hours), not asked yet (a minute
-- later, which is no attempt), or given up.
update optout_outbox o
set state = case when s.problem is null then 'done' when s.final then 'given_up' else 'due' end,
    attempts = o.attempts + (not s.later)::integer,
    done_at = case when s.problem is null then :now::timestamptz end,
    problem = s.problem,
    next_attempt_at = :now + case when s.later then interval '1 minute'
                                  else least(interval '6 hours', interval '1 minute' * (2 ^ least(o.attempts, 12))) end
from unnest(:ids::bigint[], :problems::text[], :finals::boolean[], :laters::boolean[]) as s (id, problem, final, later)
where o.id = s.id;

-- name: backlog(entity, source)^
-- How many opt-outs a source has still to hear of, and since when the oldest waits. Read only.
select count(*) as due, min(created_at) as oldest from optout_outbox
where entity = :entity and source = :source and state = 'due';

-- name: backlog_by_source(entity, now)
-- How word of opt-outs gets back, by source. Read only.
select source,
       count(*) filter (where state = 'due') as due,
       min(created_at) filter (where state = 'due') as oldest,
       count(*) filter (where state = 'given_up') as given_up,
       count(*) filter (where done_at > :now::timestamptz - interval '24 hours') as told,
       (array_agg(problem order by next_attempt_at desc) filter (where state <> 'done' and problem is not null))[1] as problem
from optout_outbox
where entity = :entity and (state <> 'done' or done_at > :now::timestamptz - interval '24 hours')
group by source
order by source;

-- name: retry(entity, source, now)!
-- given_up -> due, by a person who removed the cause. Repeatable.
update optout_outbox
set state = 'due', attempts = 0, next_attempt_at = :now
where entity = :entity and source = coalesce(:source::text, source) and state = 'given_up';

-- name: lock_bulk_calls(connection, target)!
-- One count at a time, until the transaction ends.
select pg_advisory_xact_lock(hashtextextended('bulk:' || coalesce(:connection, '') || ':' || :target, 0));

-- name: take_bulk_call(connection, target, now, most)!
-- Count one more bulk call, if the last 24 hours had fewer than `most`. Not repeatable: each is a call.
insert into bulk_call (connection, target, called_at)
select coalesce(:connection, ''), :target, :now
where (select count(*) from bulk_call
       where connection = coalesce(:connection, '') and target = :target
         and called_at > :now::timestamptz - interval '24 hours') < :most;
