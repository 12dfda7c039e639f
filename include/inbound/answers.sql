-- name: plan(entity, kind, inbound_id, subscription_id, consent_event_id, said_at)!
-- One answer to a message, and at most one of its kind to a person in 24 hours, so that two robots do not write to each
-- other for ever. A STOP or START is confirmed only if it holds: something newer may have been said. Repeatable.
insert into answer (entity, kind, inbound_id, subscription_id, consent_event_id, said_at)
select :entity, :kind, :inbound_id, s.id, :consent_event_id, :said_at
from subscription s
where s.id = :subscription_id
  and s.status = any (case :kind when 'stop' then array['unsubscribed'] when 'start' then array['subscribed']
                      else array[s.status] end)
  and not exists (select from answer a where a.subscription_id = s.id and a.kind = :kind
                  and a.said_at > :said_at::timestamptz - interval '24 hours')
on conflict do nothing;

-- name: call_uncertain(entity, before)!
-- sending -> uncertain for what a process that died left behind: whether it was posted is not known.
update answer set state = 'uncertain', updated_at = clock_timestamp()
where entity = :entity and state = 'sending' and claimed_at < :before;

-- name: expire(entity, now)!
-- planned -> expired: 24 hours after a person wrote, only templates may be sent (whatsapp_rules.md B.2).
update answer set state = 'expired', updated_at = clock_timestamp()
where entity = :entity and state = 'planned' and said_at < :now::timestamptz - interval '23 hours 55 minutes';

-- name: claim(entity, now)
-- planned -> sending for one answer, and what is needed to send it. Other workers take others. Whoever has been erased, or
-- has changed their mind, gets none.
with due as (
    select a.id from answer a
    where a.entity = :entity and a.state = 'planned' and a.not_before <= :now
    order by a.not_before, a.id
    limit 1 for update skip locked
)
update answer a
set state = case when s.phone is null
                   or a.kind = 'stop' and s.status <> 'unsubscribed' or a.kind = 'start' and s.status <> 'subscribed'
                 then 'expired' else 'sending' end,
    claimed_at = :now, updated_at = clock_timestamp()
from due, subscription s
where a.id = due.id and s.id = a.subscription_id
returning a.id, a.reference, a.kind, a.state, s.phone, s.language;

-- name: outcome(id, state, code, not_before)!
-- What the gateway said. A status that overtook the answer stays.
update answer
set state = case when state_rank(:state) > state_rank(state) or :state = 'planned' then :state else state end,
    error_code = coalesce(:code, error_code), not_before = coalesce(:not_before, not_before), updated_at = clock_timestamp()
where id = :id and (state in ('sending', 'uncertain') or :state <> 'planned');

-- name: statuses(references, states, codes, entities)
-- What statuses and the log tell of answers; gives the references that there are. Repeatable, in any order: a state only
-- moves forward.
with told as (
    select reference, (array_agg(state order by state_rank(state) desc))[1] as state,
           (array_agg(code order by state_rank(state) desc))[1] as code
    from unnest(:references::text[], :states::text[], :codes::integer[]) as given (reference, state, code)
    group by reference
), known as (
    select a.id, t.* from told t join answer a on a.id = substr(t.reference, 7)::bigint and a.entity = any (:entities::text[])
), changed as (
    update answer a
    set state = k.state, error_code = k.code, updated_at = clock_timestamp()
    from known k
    where a.id = k.id and state_rank(k.state) > coalesce(state_rank(a.state), 0)
)
select reference from known;
