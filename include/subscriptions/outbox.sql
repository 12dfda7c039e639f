-- name: claim(entity, source, now, most)
-- Opt-outs that are due at a source, oldest first, held until the transaction ends; what another worker holds is skipped.
select o.id, o.source_record_id, o.attempts, e.occurred_at
from optout_outbox o
join consent_event e on e.id = o.consent_event_id
where o.entity = :entity and o.source = :source and o.state = 'due' and o.next_attempt_at <= :now
order by o.id
limit :most
for update of o skip locked;

-- name: settle(now, ids, problems, finals)!
-- What became of those claimed: told, to be tried again (1, 2, 4 … minutes later, at most 6 hours), or given up.
update optout_outbox o
set state = case when s.problem is null then 'done' when s.final then 'given_up' else 'due' end,
    attempts = o.attempts + 1,
    done_at = case when s.problem is null then :now::timestamptz end,
    problem = s.problem,
    next_attempt_at = :now + least(interval '6 hours', interval '1 minute' * (2 ^ least(o.attempts, 12)))
from unnest(:ids::bigint[], :problems::text[], :finals::boolean[]) as s (id, problem, final)
where o.id = s.id;

-- name: backlog(entity, source)^
-- How many opt-outs a source has still to hear of, and since when the oldest waits. Read only.
select count(*) as due, min(created_at) as oldest from optout_outbox
where entity = :entity and source = :source and state = 'due';
