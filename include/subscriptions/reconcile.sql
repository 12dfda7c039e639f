-- name: lock_entity(entity)!
-- One reconcile of an entity at a time, until the transaction ends.
select pg_advisory_xact_lock(hashtextextended('reconcile:' || :entity, 0));

-- name: open_runs(entity, states)
-- The pulls to take over, oldest first, with how many of their rows are still there. Locks the runs.
select r.id, r.source, r.state, r.staged,
       (select count(*) from optin_staging s where s.sync_run_id = r.id) as found
from sync_run r
where r.entity = :entity and r.state = any (:states::text[])
order by r.id
for update;

-- name: mark_lost(now, runs)!
-- Runs whose unlogged rows went with a crash of the server: their watermark never counts, so the rows come again.
update sync_run
set state = 'lost', finished_at = :now,
    problem = 'The staged rows are gone (the database server was restarted hard). The next pull brings them again.'
where id = any (:runs::bigint[]);

-- name: add_wordings(entity, wording_id, language, wording, valid_from)*!
-- What people were told. Safe to repeat; a text that is known keeps what it says.
insert into consent_wording (entity, wording_id, language, wording, valid_from)
values (:entity, :wording_id, :language, :wording, :valid_from)
on conflict do nothing;

-- name: known_wordings(entity)
-- Every text on record. Read only.
select wording_id, language, wording from consent_wording where entity = :entity;

-- name: collect_changed(entity, runs)!
-- The staged records that say something their source had not said before, in a temporary table. In most runs few do.
create temporary table incoming on commit drop as
select r.source, s.record_id, s.phone, s.match_key, s.country, s.time_zone, s.consent, s.timed, s.occurred_at, s.record_at,
       s.language, s.attributes, hashtextextended(s.phone, 0) as phone_key,
       s.sync_run_id, r.collection_point, r.method, r.wording_id
from optin_staging s
join sync_run r on r.id = s.sync_run_id
left join source_record k on k.entity = :entity and k.source = r.source and k.record_id = s.record_id
where s.sync_run_id = any (:runs::bigint[])
  and not coalesce(
      case
          when s.phone is null then
              k.withdrawn_at >= s.occurred_at
              or not s.timed and k.withdrawn_at is not null
                 and (k.consent is not true or k.withdrawn_at >= k.occurred_at)
          else
              k.consent = s.consent
              and k.phone_key = hashtextextended(s.phone, 0)
              and k.attributes = s.attributes
              and k.language is not distinct from s.language
              -- A withdrawal without a time is the same withdrawal whenever it is read.
              and (not s.timed or k.occurred_at = s.occurred_at and k.record_at >= s.record_at)
      end, false);

-- name: measure_incoming()#
-- Nobody else counts a temporary table's rows, and a plan made for a few is no plan for a million.
analyze incoming;

-- name: measure_identified()#
-- As above.
analyze identified;

-- name: add_people(entity, now, opad, ipad)!
-- One row per number that is new to the entity. Whoever was erased stays away (C11). The longer way to write a number is
-- the one that is messaged where two are the same mobile (Brazil).
insert into subscription (entity, phone, match_key, person_hash, country, time_zone, created_at, updated_at)
select :entity, n.phone, n.match_key, n.person_hash, n.country, n.time_zone, :now, :now
from (
    select distinct on (i.match_key) i.phone, i.match_key, i.country, i.time_zone,
           sha256(:opad::bytea || sha256(:ipad::bytea || convert_to(i.match_key, 'UTF8'))) as person_hash
    from incoming i
    where i.match_key is not null
      and not exists (select from subscription p where p.entity = :entity and p.match_key = i.match_key)
    order by i.match_key, length(i.phone) desc, i.phone
) n
where not exists (
    select from suppression x where x.entity = :entity and x.person_hash = n.person_hash and x.reason = 'erased'
)
on conflict (entity, match_key) do nothing;

-- name: identify(entity)!
-- Each changed record with the person it speaks of: null for a withdrawal without a number, and for the erased.
create temporary table identified on commit drop as
select i.*, p.id as subscription_id
from incoming i
left join subscription p on p.entity = :entity and p.match_key = i.match_key;

-- name: reject_erased(entity)!
-- Records of people who were erased are not taken again, and it is told.
with refused as (
    delete from identified where subscription_id is null and match_key is not null
    returning sync_run_id, source, record_id
)
insert into rejected_record (sync_run_id, entity, source, record_id, reason)
select sync_run_id, :entity, source, nullif(record_id, ''), 'erased' from refused;

-- name: prefer_longer_numbers(now)!
-- Mexico, Argentina, Brazil: the longer way to write the same mobile is the one that is messaged.
update subscription p
set phone = i.phone, updated_at = :now
from (
    select distinct on (subscription_id) subscription_id, phone
    from identified
    where left(phone, 3) in ('+52', '+54', '+55')
    order by subscription_id, length(phone) desc, phone
) i
where p.id = i.subscription_id and length(i.phone) > length(p.phone);

-- name: add_events(default_language, entity)!
-- The ledger's new rows. An event that is known is left alone, so a record may come any number of times.
insert into consent_event (subscription_id, action, occurred_at, source, source_record_id, collection_point, method,
                           wording_id, wording_language, sync_run_id)
select i.subscription_id, case when i.consent then 'grant' else 'withdraw' end, i.occurred_at, i.source, i.record_id,
       i.collection_point, i.method, case when i.consent then i.wording_id end,
       case when i.consent then coalesce(w.language, :default_language) end, i.sync_run_id
from identified i
left join consent_wording w on w.entity = :entity and w.wording_id = i.wording_id and w.language = i.language
where i.subscription_id is not null
  -- Without record id and time nothing tells this withdrawal from the one read before.
  and (i.timed or i.record_id <> ''
       or not exists (select from subscription p where p.id = i.subscription_id and p.status = 'unsubscribed'))
on conflict do nothing;

-- name: touch(entity)!
-- Whose state may change: the people these records speak of now, and those they spoke of before.
insert into touched (subscription_id)
select subscription_id from identified where subscription_id is not null
union
select k.subscription_id
from identified i
join source_record k on k.entity = :entity and k.source = i.source and k.record_id = i.record_id
where k.subscription_id is not null;

-- name: remember_records(entity)!
-- What each source last said about each record: the newest version wins, whatever order they come in. Every column takes
-- part in the comparison, so that even two versions of one moment have one outcome.
insert into source_record as k (entity, source, record_id, subscription_id, record_at, occurred_at, consent, phone_key,
                                language, attributes, withdrawn_at)
select :entity, i.source, i.record_id, n.subscription_id, n.record_at, n.occurred_at, n.consent, n.phone_key, n.language,
       coalesce(n.attributes, '{}'), i.withdrawn_at
from (
    select source, record_id, max(occurred_at) filter (where not consent) as withdrawn_at
    from identified where record_id <> ''
    group by source, record_id
) i
left join (
    select distinct on (source, record_id) *
    from identified
    where record_id <> '' and subscription_id is not null
    order by source, record_id, record_at desc, occurred_at desc, consent, phone_key desc, attributes desc,
             coalesce(language, '') desc
) n using (source, record_id)
on conflict (entity, source, record_id) do update
set subscription_id = case when is_newer(excluded, k) then excluded.subscription_id else k.subscription_id end,
    record_at = case when is_newer(excluded, k) then excluded.record_at else k.record_at end,
    occurred_at = case when is_newer(excluded, k) then excluded.occurred_at else k.occurred_at end,
    consent = case when is_newer(excluded, k) then excluded.consent else k.consent end,
    phone_key = case when is_newer(excluded, k) then excluded.phone_key else k.phone_key end,
    language = case when is_newer(excluded, k) then excluded.language else k.language end,
    attributes = case when is_newer(excluded, k) then excluded.attributes else k.attributes end,
    withdrawn_at = greatest(k.withdrawn_at, excluded.withdrawn_at)
where is_newer(excluded, k) or greatest(k.withdrawn_at, excluded.withdrawn_at) is distinct from k.withdrawn_at;

-- name: spread_withdrawals(entity)!
-- A record's "no" holds for every number the record ever gave: the person did not take it back by changing the number.
with spread as (
    insert into consent_event (subscription_id, action, occurred_at, source, source_record_id, method, sync_run_id)
    select distinct on (e.subscription_id, k.withdrawn_at, k.source, k.record_id)
           e.subscription_id, 'withdraw', k.withdrawn_at, k.source, k.record_id, i.method, i.sync_run_id
    from identified i
    join source_record k on k.entity = :entity and k.source = i.source and k.record_id = i.record_id
    join consent_event e on e.source = i.source and e.source_record_id = i.record_id
    join subscription p on p.id = e.subscription_id and p.entity = :entity
    where k.withdrawn_at is not null and i.record_id <> ''
    on conflict do nothing
    returning subscription_id
)
insert into touched (subscription_id)
select distinct subscription_id from spread
on conflict do nothing;

-- name: count_events(after, runs)
-- New ledger rows per run. Read only.
select sync_run_id, action, count(*) as events
from consent_event
where id > :after and sync_run_id = any (:runs::bigint[])
group by sync_run_id, action;

-- name: last_event()$
-- The ledger's newest id. Read only.
select coalesce(max(id), 0) from consent_event;

-- name: count_changed()
-- Changed records per run. Read only.
select sync_run_id, count(*) as records from incoming group by sync_run_id;

-- name: known_people(entity)$
-- How many people an entity has. Read only.
select count(*) from subscription where entity = :entity and status not in ('unknown', 'erased');

-- name: close_runs(now, runs, outcomes)!
-- The runs count from now on: this commits with the rows they brought.
update sync_run r
set state = 'applied', finished_at = :now, problem = null, outcome = o.outcome
from unnest(:runs::bigint[], :outcomes::jsonb[]) as o (id, outcome)
where r.id = o.id;

-- name: hold_runs(now, problem, figures, runs)!
-- The guard stopped these runs; their rows stay in staging until somebody releases them or a newer pull replaces them.
update sync_run
set state = 'held', finished_at = :now, problem = :problem, outcome = :figures
where id = any (:runs::bigint[]);

-- name: clear_staging(runs)!
-- The runs' rows are in the ledger, or lost.
delete from optin_staging where sync_run_id = any (:runs::bigint[]);
