-- name: prepare()#
-- Work tables of this session, empty after every transaction. A connection that lives on makes them once.
create temporary table if not exists touched (subscription_id bigint primary key) on commit delete rows;
create temporary table if not exists projected (
    subscription_id bigint not null, status text not null, status_at timestamptz not null, consent_event_id bigint not null,
    action text not null, source text not null, source_record_id text not null
) on commit delete rows;
create temporary table if not exists stood (subscription_id bigint not null, status text not null) on commit delete rows;
create temporary table if not exists held (
    subscription_id bigint not null, source text not null, record_id text not null, record_at timestamptz, language text,
    attributes jsonb not null
) on commit delete rows;
create temporary table if not exists profile (
    subscription_id bigint not null, attributes jsonb not null, language text, records smallint not null
) on commit delete rows;
create temporary table if not exists spoken (
    entity text not null, person_hash bytea not null, source text not null, status text not null, status_at timestamptz not null
) on commit delete rows;

create temporary table if not exists open_question (
    subscription_id bigint primary key, expiry consent_event, ask consent_event, moved_on boolean
) on commit delete rows;

-- name: measure_touched()#
-- Nobody else counts a temporary table's rows, and a plan made for a few is no plan for a million.
analyze touched;

-- name: measure_projected()#
-- As above.
analyze projected;

-- name: measure_held()#
-- As above.
analyze held;

-- name: measure_open()#
-- As above, of what was decided too.
analyze open_question;
analyze projected;

-- name: forget_touched()!
-- Begin anew within one transaction.
with said as (delete from spoken) delete from touched;

-- name: forget_projected()!
-- Begin anew within one transaction.
with gone as (delete from profile), left_over as (delete from held), stood_before as (delete from stood),
     asked as (delete from open_question)
delete from projected;

-- name: touch(entity, ids)!
-- Name people whose state is to be computed.
insert into touched (subscription_id)
select id from subscription where entity = :entity and id = any (:ids::bigint[])
on conflict do nothing;

-- name: touch_everyone(entity)!
-- Name every person of an entity who has not been erased.
insert into touched (subscription_id)
select id from subscription where entity = :entity and status <> 'erased'
on conflict do nothing;

-- name: lock_touched()!
-- Hold the rows that are about to change, and note how they stand. A withdrawal that commits while we wait is then seen by
-- `decide`.
insert into stood (subscription_id, status)
select p.id, p.status from subscription p where p.id in (select subscription_id from touched) order by p.id for update;

-- name: gather()!
-- What the sources say now about each person touched.
insert into held (subscription_id, source, record_id, record_at, language, attributes)
select k.subscription_id, k.source, k.record_id, k.record_at, k.language, k.attributes
from touched t
join source_record k on k.subscription_id = t.subscription_id;

-- name: decide()!
-- The rules: what the ledger says about each person touched. The first row in this order is the state, so the order of the
-- ORDER BY is the order of the rules; nothing in it depends on when an event reached us. Rules 6 and 7 follow.
insert into projected (subscription_id, status, status_at, consent_event_id, action, source, source_record_id)
with event as (
    select e.subscription_id, e.id, e.action, e.occurred_at, e.source, e.source_record_id,
           case e.action
               when 'erase' then 'erased'
               when 'object' then 'unsubscribed'
               when 'withdraw' then 'unsubscribed'
               else 'subscribed'
           end as says,
           -- The record that brought this grant speaks of another number now: it no longer vouches for this one.
           e.action in ('grant', 'confirm') and e.sync_run_id is not null and e.source_record_id <> ''
           and h.subscription_id is null as moved_on
    from touched t
    join consent_event e on e.subscription_id = t.subscription_id
    left join held h on h.subscription_id = e.subscription_id and h.source = e.source and h.record_id = e.source_record_id
    where not e.needs_confirmation and e.action <> 'expire'
)
select distinct on (subscription_id)
       subscription_id, case when moved_on then 'expired' else says end, occurred_at, id, action, source, source_record_id
from event
order by subscription_id,
         says = 'erased' desc,                                                   -- 1. erasure is final
         moved_on,                                                               -- 2. a grant counts while its record names the number
         occurred_at desc,                                                       -- 3. the newest event wins
         array_position(array['unsubscribed', 'subscribed'], says),              -- 4. at one moment, "no" comes before "yes"
         source, source_record_id, action;                                       -- 5. one outcome, whatever came first

-- name: gather_open()!
-- What is rare, of the people touched: their newest expiry, and their newest yes that needs a confirmation. Two partial
-- indexes make this free of charge where there is none. Looked up person by person, so that no plan can go wrong.
insert into open_question (subscription_id, expiry, ask, moved_on)
select t.subscription_id, x.expiry, a.ask, a.moved_on
from (
    select subscription_id from touched t
    where exists (select from consent_event e where e.subscription_id = t.subscription_id and e.needs_confirmation)
       or exists (select from consent_event e where e.subscription_id = t.subscription_id and e.action = 'expire')
) t
left join lateral (
    select e as expiry from consent_event e
    where e.subscription_id = t.subscription_id and e.action = 'expire'
    order by e.occurred_at desc, e.source, e.source_record_id
    limit 1
) x on true
left join lateral (
    select e as ask, k.subscription_id is null as moved_on
    from consent_event e
    left join source_record k on k.subscription_id = e.subscription_id and k.source = e.source
                              and k.record_id = e.source_record_id
    where e.subscription_id = t.subscription_id and e.needs_confirmation
    order by k.subscription_id is null, e.occurred_at desc, e.source, e.source_record_id
    limit 1
) a on true;

-- name: decide_expired()!
-- 6. An expiry ends a yes that is no newer; it never takes the place of a no.
update projected d
set status = 'expired', status_at = (q.expiry).occurred_at, consent_event_id = (q.expiry).id, action = (q.expiry).action,
    source = (q.expiry).source, source_record_id = (q.expiry).source_record_id
from open_question q
where d.subscription_id = q.subscription_id and d.status = 'subscribed' and (q.expiry).occurred_at >= d.status_at;

-- name: decide_pending()!
-- 7. A yes that needs a confirmation counts where nothing else was said, or something older that was no yes: the person is
-- pending, until it is confirmed or expires. It never takes a subscription away.
with judged as (
    select q.subscription_id, e as says,
           case when q.moved_on or (q.expiry).occurred_at >= (q.ask).occurred_at then 'expired' else 'pending' end as status
    from open_question q
    cross join lateral (
        select case when (q.expiry).occurred_at >= (q.ask).occurred_at then q.expiry else q.ask end as e
    ) chosen
    where (q.ask).id is not null
), lifted as (
    update projected d
    set status = j.status, status_at = (j.says).occurred_at, consent_event_id = (j.says).id, action = (j.says).action,
        source = (j.says).source, source_record_id = (j.says).source_record_id
    from judged j
    where d.subscription_id = j.subscription_id and j.status = 'pending'
      and (d.status in ('unsubscribed', 'expired') and (j.says).occurred_at > d.status_at
           or d.status = 'expired' and d.action <> 'expire')  -- rule 2 put a grant aside whose record has moved on
)
insert into projected (subscription_id, status, status_at, consent_event_id, action, source, source_record_id)
select j.subscription_id, j.status, (j.says).occurred_at, (j.says).id, (j.says).action, (j.says).source,
       (j.says).source_record_id
from judged j
where not exists (select from projected d where d.subscription_id = j.subscription_id);

-- name: describe(precedence)!
-- Language and attributes of each person touched: each from the newest record that has it; records of one moment by the
-- entity's order of precedence. And how many records speak of the person: news of the only one needs no merging.
insert into profile (subscription_id, attributes, language, records)
with record as (
    select h.*, coalesce(array_position(:precedence::text[], h.source), 1000) as place,
           count(*) over (partition by h.subscription_id) as records
    from held h
), single as (
    select subscription_id, attributes, language from record where records = 1
), merged as (
    select r.subscription_id,
           jsonb_object_agg(a.key, a.value order by r.record_at, r.place desc, r.source desc, r.record_id desc) as attributes
    from record r
    cross join lateral jsonb_each(r.attributes) a
    where r.records > 1
    group by r.subscription_id
), counted as (
    select subscription_id, max(records) as records from record where records > 1 group by subscription_id
), said as (
    select distinct on (subscription_id) subscription_id, language
    from record
    where records > 1 and language is not null
    order by subscription_id, record_at desc, place, source, record_id
)
select t.subscription_id, coalesce(s.attributes, m.attributes, '{}'), coalesce(s.language, l.language),
       case when s.subscription_id is not null then 1 else coalesce(c.records, 0) end
from touched t
left join single s using (subscription_id)
left join merged m using (subscription_id)
left join said l using (subscription_id)
left join counted c using (subscription_id);

-- name: flips()^
-- How many people who were known change sides. Read only.
select count(*) filter (where s.status = 'subscribed' and d.status <> 'subscribed') as opted_out,
       count(*) filter (where s.status not in ('subscribed', 'unknown') and d.status = 'subscribed') as opted_in
from projected d
join stood s using (subscription_id);

-- name: apply(now)
-- Write what changed, and only that. Returns people by old and new state.
with changed as (
    update subscription p
    set status = d.status, status_at = d.status_at, consent_event_id = d.consent_event_id,
        attributes = coalesce(f.attributes, p.attributes),
        language = case when f.subscription_id is null then p.language else f.language end,
        -- Whoever says yes again is tried again.
        reachability = case when d.status in ('subscribed', 'pending') and p.reachability = 'unreachable'
                                 and d.status_at > p.reachability_at then 'unknown' else p.reachability end,
        records = coalesce(f.records, p.records),
        updated_at = :now
    from projected d
    join stood s on s.subscription_id = d.subscription_id
    left join profile f on f.subscription_id = d.subscription_id
    where p.id = d.subscription_id
      and (p.status <> d.status or p.status_at is distinct from d.status_at
           or p.consent_event_id is distinct from d.consent_event_id
           or p.attributes <> f.attributes
           or p.records is distinct from coalesce(f.records, p.records)
           or f.subscription_id is not null and p.language is distinct from f.language)
    returning s.status as was, p.status as became
)
select was, became, count(*) as people from changed group by was, became;

-- name: note_spoken()!
-- What the people touched are known to want now, for the suppression list.
insert into spoken (entity, person_hash, source, status, status_at)
select p.entity, p.person_hash, d.source, d.status, d.status_at
from projected d
join subscription p on p.id = d.subscription_id
where d.status <> 'erased' and p.person_hash is not null;

-- name: suppress(reason)!
-- Whoever said no is on the suppression list, which every send consults and erasure does not empty (C10).
insert into suppression as x (entity, person_hash, reason, source, said_at)
select entity, person_hash, :reason, source, status_at from spoken where status = 'unsubscribed'
on conflict (entity, person_hash) do update
-- A stronger reason is never replaced by a weaker one.
set reason = case when x.reason = 'opted_out' then excluded.reason else x.reason end,
    source = case when x.reason = 'opted_out' then excluded.source else x.source end,
    said_at = greatest(x.said_at, excluded.said_at)
where x.reason = 'opted_out' and excluded.reason <> 'opted_out' or excluded.said_at > x.said_at;

-- name: unsuppress()!
-- A newer yes lifts a person's own no; an objection, a platform's stop and an erasure stay. So does one that is still to be
-- confirmed (the person is written to once, about that), and one that has expired since: the list says who said no last.
delete from suppression x
using spoken s
where s.status <> 'unsubscribed' and x.entity = s.entity and x.person_hash = s.person_hash
  and x.reason = 'opted_out' and x.said_at < s.status_at;

-- name: tell_sources(now)!
-- Every record, in whatever source, that still says yes about somebody who said no is to be told. Once per no: what was
-- told already is not told again when the source's own echo of it comes back.
insert into optout_outbox (entity, source, source_record_id, subscription_id, consent_event_id, next_attempt_at, created_at)
with said_no as materialized (
    select * from projected where status = 'unsubscribed' and action in ('withdraw', 'object')
)
select k.entity, k.source, k.record_id, n.subscription_id, n.consent_event_id, :now, :now
from said_no n
cross join lateral (
    select * from source_record holding where holding.subscription_id = n.subscription_id and holding.consent offset 0
) k
where k.occurred_at <= n.status_at
  and (k.withdrawn_at is null or k.withdrawn_at < k.occurred_at)
  and (k.source, k.record_id) <> (n.source, n.source_record_id)
  and not exists (
      select from optout_outbox o
      join consent_event told on told.id = o.consent_event_id
      where o.entity = k.entity and o.source = k.source and o.source_record_id = k.record_id
        and o.subscription_id = n.subscription_id and told.occurred_at >= k.occurred_at
  )
on conflict do nothing;
