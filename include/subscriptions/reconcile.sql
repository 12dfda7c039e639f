-- name: lock_entity(entity)!
-- One reconcile of an entity at a time, until the transaction ends.
select pg_advisory_xact_lock(hashtextextended('reconcile:' || :entity, 0));

-- name: open_runs(entity, states)
-- The pulls to take over, oldest first, and whether their rows are still there: a crash empties the unlogged table, wholly.
-- Locks the runs.
select r.id, r.source, r.state, r.staged, r.double_opt_in,
       r.staged > 0 and not exists (select from optin_staging s where s.sync_run_id = r.id) as is_lost
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

-- name: add_wordings(entity, wording_id, language, wording, valid_from, privacy_notice, evidence, approved_by)*!
-- What people were told. Safe to repeat; a text that is known keeps what it says.
insert into consent_wording (entity, wording_id, language, wording, valid_from, privacy_notice, evidence, approved_by)
values (:entity, :wording_id, :language, :wording, :valid_from, :privacy_notice, :evidence, :approved_by)
on conflict do nothing;

-- name: known_wordings(entity)
-- Every text on record. Read only.
select wording_id, language, wording, privacy_notice from consent_wording where entity = :entity;

-- name: more_memory()#
-- For this session: a million records are hashed, and a million newcomers kept, without going to disk. Temporary tables take
-- no more of their memory than they fill.
set work_mem = '128MB';
set temp_buffers = '512MB';
-- Enough to tell few from many, which is all that the plans need, and ten times as quick.
set default_statistics_target = 10;

-- name: measure_staging()#
-- Rows come and go too fast for the server's own statistics, and a plan made for a few is no plan for a million. Only what
-- the plan depends on is asked for: all columns take three times as long.
analyze optin_staging (sync_run_id, record_id);

-- name: plan_look_ups()#
-- Records and people are looked up by their indexes. They mostly come in the order of their ids, and what is read next is in
-- memory already; a hash of millions is larger than the processor's cache, and waits for memory at every step (a million
-- records of five million: 1.6 s, hashed 2.3 s; in no order both take about the same). On all processors, even where every
-- row is handed over: a million newcomers take 2.5 s instead of 4.
set local enable_hashjoin = off;
set local enable_mergejoin = off;
set local parallel_tuple_cost = 0.01;

-- name: plan_freely()#
-- The end of `plan_look_ups`.
set local enable_hashjoin to default;
set local enable_mergejoin to default;
set local parallel_tuple_cost to default;

-- name: collect_changed(entity, runs, sources, to_confirm, opad, ipad)!
-- The staged records that say something their source had not said before, each with the person it speaks of if we have
-- them. In most runs few do; and most of those keep their number, so that only the others are looked up.
-- `is_plain`: nothing but the newest version of a record that has only ever spoken of this one person.
-- `person_hash`: where the number is new to the entity.
-- :sources are those of the :runs, :to_confirm whether a "yes" of theirs has to be confirmed. Given, rather than joined: that
-- takes a quarter of the time, and the index is asked for all three columns at once.
create temporary table incoming on commit drop as
select r.source, s.record_id, s.phone, s.match_key, s.country, s.time_zone, s.consent, s.timed, s.occurred_at, s.record_at,
       s.language, s.attributes, s.sync_run_id, hashtextextended(s.phone, 0) as phone_key,
       hashtextextended(s.record_id, hashtextextended(r.source, 0)) as record_key,
       s.consent and r.to_confirm as needs_confirmation,
       k.ctid as known_at, k.subscription_id as known_subscription_id, k.phone_key as known_phone_key,
       k.withdrawn_at as known_withdrawn_at, k.spoke_of as known_spoke_of, k.consent as known_consent,
       s.timed and s.record_id <> '' and s.phone is not null
       and not (s.consent and r.to_confirm)
       and (
           k.source is null
           or k.phone_key = hashtextextended(s.phone, 0) and k.subscription_id is not null
              and k.withdrawn_at is null and k.spoke_of = '{}'
              and coalesce((s.record_at, s.occurred_at, not s.consent, s.attributes, coalesce(s.language, ''))
                           > (k.record_at, k.occurred_at, not k.consent, k.attributes, coalesce(k.language, '')), false)
       ) as is_plain,
       coalesce(k.occurred_at = s.occurred_at and k.consent = s.consent, false) as is_known_event,
       coalesce(p.id, case when k.phone_key = hashtextextended(s.phone, 0) then k.subscription_id end) as found_id,
       case when p.id is null and (k.phone_key = hashtextextended(s.phone, 0) and k.subscription_id is not null) is not true
            then sha256(:opad::bytea || sha256(:ipad::bytea || convert_to(s.match_key, 'UTF8'))) end as person_hash
from optin_staging s
cross join lateral (
    select (:sources::text[])[array_position(:runs::bigint[], s.sync_run_id)] as source,
           (:to_confirm::boolean[])[array_position(:runs::bigint[], s.sync_run_id)] as to_confirm
) r
left join source_record k on k.record_id = s.record_id and k.source = r.source and k.entity = :entity
left join subscription p on p.entity = :entity
                        and p.match_key = case when (k.phone_key = hashtextextended(s.phone, 0)) is not true then s.match_key end
where s.sync_run_id = any (:runs::bigint[])
  -- Nearly all say what they said: decided first.
  and (k.consent = s.consent and k.occurred_at = s.occurred_at and k.record_at >= s.record_at
       and k.phone_key = hashtextextended(s.phone, 0) and k.language is not distinct from s.language
       and k.attributes = s.attributes) is not true
  and (s.timed and s.phone is not null or not coalesce(
      case
          when s.phone is null then
              k.withdrawn_at >= s.occurred_at
              or not s.timed and k.withdrawn_at is not null
                 and (k.consent is not true or k.withdrawn_at >= k.occurred_at)
          else
              -- A withdrawal without a time is the same withdrawal whenever it is read.
              k.consent = s.consent
              and k.phone_key = hashtextextended(s.phone, 0)
              and k.attributes = s.attributes
              and k.language is not distinct from s.language
      end, false))

-- name: measure_incoming()#
-- Nobody else counts a temporary table's rows. Only what the plans depend on.
analyze incoming (found_id, person_hash, match_key);

-- name: set_apart(entity, direct)!
-- The changed records of people who are new and about whom there is more to say than one plain record does (by their place in
-- `incoming`, which is not copied): hardly any; all without :direct. The others are written as they are.
create temporary table apart on commit drop as
with repeated_record as materialized (
    -- Where a record comes twice, it is of one person twice, or has moved. By a hash, which takes half of the time; two
    -- records that share one go the long way. So do two numbers.
    select record_key from incoming where known_at is null group by record_key having count(*) > 1
), repeated_number as materialized (
    select hashtextextended(match_key, 0) as number_key from incoming where person_hash is not null group by 1 having count(*) > 1
)
select i.ctid as place
from incoming i
left join suppression x on x.entity = :entity and x.person_hash = i.person_hash
where i.person_hash is not null
  and (not :direct or i.is_plain is not true or x.person_hash is not null
       or i.record_key in (select record_key from repeated_record)
       or hashtextextended(i.match_key, 0) in (select number_key from repeated_number));

-- name: measure_apart()#
-- As above.
analyze apart;

-- name: find_plain_newcomers()!
-- The others, with the ids they will have.
create temporary table plain_newcomer on commit drop as
select nextval('subscription_id_seq') as id, nextval('consent_event_id_seq') as event_id, i.source, i.record_id, i.phone,
       i.match_key, i.country, i.time_zone, i.consent, i.occurred_at, i.record_at, i.language, i.attributes, i.phone_key, i.sync_run_id,
       i.person_hash
from incoming i
where i.person_hash is not null and not exists (select from apart a where a.place = i.ctid);

-- name: find_newcomers(entity)!
-- One row per number of those set apart, with the id that the person will have. Whoever was erased stays away (C11). The
-- longer way to write a number is the one that is messaged where two are the same mobile (Brazil).
create temporary table newcomer on commit drop as
select nextval('subscription_id_seq') as id, n.*
from (
    select distinct on (i.match_key) i.phone, i.match_key, i.country, i.time_zone, i.person_hash
    from apart a
    join incoming i on i.ctid = a.place
    where not exists (
        select from suppression x where x.entity = :entity and x.person_hash = i.person_hash and x.reason = 'erased'
    )
    order by i.match_key, length(i.phone) desc, i.phone
) n;

-- name: measure_newcomers()#
-- As above.
analyze newcomer (match_key);

-- name: identify(direct)!
-- All other changed records with their person: null for a withdrawal without a number, and for the erased. In the order of the
-- people, so that what is written next goes through tables and indexes once.
-- `is_direct`: the only news of its person, and plain; nobody else's news is in the same record. Such news can be written
-- down without reading the person's whole story again. Nearly all are; none without :direct.
create temporary table news on commit drop as
with moved as materialized (
    -- A record's "no" holds for every number it gave: whom a record has left must not be written without the others.
    select known_subscription_id as person from incoming
    where known_subscription_id is not null and known_subscription_id is distinct from found_id
), named as (
    select i.*, i.found_id as subscription_id,
           i.is_plain and i.known_at is not null and i.found_id not in (select person from moved) as is_faithful
    from incoming i
    where i.person_hash is null
    union all
    select i.*, n.id, false
    from apart a
    join incoming i on i.ctid = a.place
    left join newcomer n using (match_key)
), judged as (
    select *, coalesce(:direct and is_faithful and lag(subscription_id) over neighbours is distinct from subscription_id
                       and lead(subscription_id) over neighbours is distinct from subscription_id, false) as is_direct
    from named
    window neighbours as (order by subscription_id)
)
select *, case when is_direct and not is_known_event then nextval('consent_event_id_seq') end as event_id
from judged
order by subscription_id;

-- name: measure_news()#
-- Nobody else counts a temporary table's rows.
analyze news (subscription_id, is_direct, event_id);

-- name: part()!
-- What is not direct, by itself: mostly there is little of it, and whoever looks for it need not read the rest.
create temporary table intricate on commit drop as
select n.*, r.collection_point, r.method, r.wording_id
from news n
join sync_run r on r.id = n.sync_run_id
where not n.is_direct;

-- name: measure_intricate()#
-- Nobody else counts a temporary table's rows.
analyze intricate (subscription_id);

-- name: trust_memory()#
-- What is fetched from here on, by its place or in the order of its ids, was read a moment ago.
set local random_page_cost = 0.05;

-- name: reject_erased(entity)!
-- Records of people who were erased are not taken again, and it is told.
with refused as (
    delete from intricate where subscription_id is null and match_key is not null
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
    from news
    where left(phone, 3) in ('+52', '+54', '+55')
    order by subscription_id, length(phone) desc, phone
) i
where p.id = i.subscription_id and length(i.phone) > length(p.phone);

-- name: add_direct_events(default_language, entity)!
-- The ledger's new rows for direct news, under the ids that were reserved for them. None of them is there already: each is a
-- newer word of its record than any before. Should one be, the ledger's key refuses it, and the reconcile begins anew
-- without direct news; to ask for conflicts took half of the time.
insert into consent_event (id, subscription_id, action, occurred_at, source, source_record_id, collection_point, method,
                           wording_id, wording_language, sync_run_id)
overriding system value
select i.event_id, i.subscription_id, case when i.consent then 'grant' else 'withdraw' end, i.occurred_at, i.source, i.record_id,
       r.collection_point, r.method, case when i.consent then r.wording_id end,
       case when i.consent then coalesce(w.language, :default_language) end, i.sync_run_id
from (
    select event_id, subscription_id, consent, occurred_at, source, record_id, language, sync_run_id
    from news
    where event_id is not null
    union all
    select event_id, id, consent, occurred_at, source, record_id, language, sync_run_id
    from plain_newcomer
) i
join sync_run r on r.id = i.sync_run_id
left join consent_wording w on w.entity = :entity and w.wording_id = r.wording_id and w.language = i.language;

-- name: add_events(default_language, entity)!
-- The ledger's new rows for all other news. An event that is known is left alone, so a record may come any number of times.
insert into consent_event (subscription_id, action, occurred_at, source, source_record_id, collection_point, method,
                           wording_id, wording_language, needs_confirmation, sync_run_id)
select i.subscription_id, case when i.consent then 'grant' else 'withdraw' end, i.occurred_at, i.source, i.record_id,
       i.collection_point, i.method, case when i.consent then i.wording_id end,
       case when i.consent then coalesce(w.language, :default_language) end, i.needs_confirmation, i.sync_run_id
from intricate i
left join consent_wording w on w.entity = :entity and w.wording_id = i.wording_id and w.language = i.language
where i.subscription_id is not null
  -- Without record id and time nothing tells this withdrawal from the one read before.
  and (i.timed or i.record_id <> ''
       or not exists (select from subscription p where p.id = i.subscription_id and p.status = 'unsubscribed'))
on conflict do nothing;

-- name: recall_stops(entity)!
-- Somebody said STOP to us before any source knew the number: that is their first word, as old as it is. Whoever said it since
-- they were looked up, and is written already, is judged again.
with stranger as (
    select id, person_hash from newcomer
    union all
    select id, person_hash from plain_newcomer
), recalled as (
    insert into consent_event (subscription_id, action, occurred_at, source, source_record_id, method)
    select n.id, 'withdraw', x.said_at, x.source, 'suppression', 'keyword'
    from stranger n
    join suppression x on x.entity = :entity and x.person_hash = n.person_hash and x.reason = 'opted_out'
    on conflict do nothing
    returning subscription_id
)
insert into touched (subscription_id) select subscription_id from recalled on conflict do nothing;

-- name: touch()!
-- Whose story is to be read again: the people these records speak of now, and those they spoke of before.
insert into touched (subscription_id)
select subscription_id from intricate where subscription_id is not null
union
select known_subscription_id from intricate where known_subscription_id is not null
on conflict do nothing;

-- name: renew_records()!
-- What a source now says about a record that it had told us of, for direct news: each is the newest version of its record.
-- By the place of the row, which cannot move: the reconcile of an entity is alone with its records (lock_entity).
update source_record k
set record_at = i.record_at, occurred_at = i.occurred_at, consent = i.consent, language = i.language, attributes = i.attributes,
    withdrawn_at = case when not i.consent then i.occurred_at end
from news i
where k.ctid = i.known_at and i.is_direct;

-- name: add_records(entity)!
-- What the sources say of people who are new, for direct news.
insert into source_record (entity, source, record_id, subscription_id, record_at, occurred_at, consent, phone_key, language,
                           attributes, withdrawn_at)
select :entity, source, record_id, id, record_at, occurred_at, consent, phone_key, language, attributes,
       case when not consent then occurred_at end
from plain_newcomer;

-- name: remember_records(entity)!
-- What each source last said about each record, for all other news: the newest version wins, whatever order they come in.
-- Every column takes part in the comparison, so that even two versions of one moment have one outcome.
insert into source_record as k (entity, source, record_id, subscription_id, record_at, occurred_at, consent, phone_key,
                                language, attributes, withdrawn_at, spoke_of)
select :entity, i.source, i.record_id, n.subscription_id, n.record_at, n.occurred_at, n.consent, n.phone_key, n.language,
       coalesce(n.attributes, '{}'), i.withdrawn_at, case when i.has_several then i.people else '{}' end
from (
    select source, record_id, max(occurred_at) filter (where not consent) as withdrawn_at,
           array_agg(subscription_id) filter (where subscription_id is not null) as people,
           min(subscription_id) <> max(subscription_id) as has_several
    from intricate where record_id <> ''
    group by source, record_id
) i
left join (
    select distinct on (source, record_id) *
    from intricate
    where record_id <> '' and subscription_id is not null
    order by source, record_id, record_at desc, occurred_at desc, consent, phone_key desc, attributes desc,
             coalesce(language, '') desc
) n using (source, record_id)
order by n.known_subscription_id
on conflict (entity, source, record_id) do update
set subscription_id = case when is_newer(excluded, k) then excluded.subscription_id else k.subscription_id end,
    record_at = case when is_newer(excluded, k) then excluded.record_at else k.record_at end,
    occurred_at = case when is_newer(excluded, k) then excluded.occurred_at else k.occurred_at end,
    consent = case when is_newer(excluded, k) then excluded.consent else k.consent end,
    phone_key = case when is_newer(excluded, k) then excluded.phone_key else k.phone_key end,
    language = case when is_newer(excluded, k) then excluded.language else k.language end,
    attributes = case when is_newer(excluded, k) then excluded.attributes else k.attributes end,
    withdrawn_at = greatest(k.withdrawn_at, excluded.withdrawn_at),
    spoke_of = case when people_of(excluded) <@ people_of(k) then k.spoke_of
                    else array(select distinct unnest(people_of(k) || people_of(excluded)) order by 1) end
where is_newer(excluded, k)
   or greatest(k.withdrawn_at, excluded.withdrawn_at) is distinct from k.withdrawn_at
   or not people_of(excluded) <@ people_of(k);

-- name: spread_withdrawals()!
-- A record's "no" holds for every number the record ever gave: the person did not take it back by changing the number.
with said_no as (
    select source, record_id, min(method) as method, max(sync_run_id) as sync_run_id,
           greatest(max(known_withdrawn_at), max(occurred_at) filter (where not consent)) as withdrawn_at,
           array_agg(subscription_id) filter (where subscription_id is not null)
           || array_agg(known_subscription_id) filter (where known_subscription_id is not null)
           || max(known_spoke_of) as people,
           -- Nearly all: every "no" came with the number of the one person that the record ever spoke of.
           not bool_or(subscription_id is null or known_withdrawn_at is not null or known_spoke_of <> '{}')
           and min(subscription_id) = max(subscription_id)
           and min(subscription_id) = coalesce(max(known_subscription_id), min(subscription_id)) as is_plain
    from intricate
    where record_id <> ''
    group by source, record_id
), spread as (
    insert into consent_event (subscription_id, action, occurred_at, source, source_record_id, method, sync_run_id)
    select distinct p.id, 'withdraw', n.withdrawn_at, n.source, n.record_id, n.method, n.sync_run_id
    from said_no n
    cross join lateral unnest(n.people) p (id)
    where n.withdrawn_at is not null and not n.is_plain
    on conflict do nothing
    returning subscription_id
)
insert into touched (subscription_id)
select distinct subscription_id from spread
on conflict do nothing;

-- name: apply_direct(now)
-- What direct news makes of people who are known: who stand as their only record had it, where it is the newest word of all
-- and takes no "no" back; the others are touched. Decided on the row as it is when it is written, so that a reply's STOP that
-- commits meanwhile is not overwritten. Returns people by old and new state.
with applied as (
    update subscription p
    set status = case when i.event_id is null then p.status when i.consent then 'subscribed' else 'unsubscribed' end,
        status_at = case when i.event_id is null then p.status_at else i.occurred_at end,
        consent_event_id = coalesce(i.event_id, p.consent_event_id),
        attributes = i.attributes, language = i.language,
        -- Whoever says yes again is tried again.
        reachability = case when p.reachability = 'unreachable' and i.event_id is not null and i.consent
                                 and i.occurred_at > p.reachability_at then 'unknown' else p.reachability end,
        updated_at = :now
    from news i
    where i.is_direct
      and p.id = i.subscription_id and p.records = 1
      and p.status = case when i.known_consent then 'subscribed' else 'unsubscribed' end
      and (i.event_id is null or i.occurred_at > p.status_at and (i.known_consent or not i.consent))
      and i.subscription_id not in (select subscription_id from touched)
    returning p.id, p.entity, p.person_hash, i.source, i.event_id is not null and not i.consent as said_no,
              i.known_consent as was, p.status as became, p.status_at
), left_over as (
    insert into touched (subscription_id)
    select n.subscription_id from news n
    where n.is_direct and not exists (select from applied a where a.id = n.subscription_id)
    on conflict do nothing
), noted as (
    insert into spoken (entity, person_hash, source, status, status_at)
    select entity, person_hash, source, became, status_at from applied where said_no
)
select case when was then 'subscribed' else 'unsubscribed' end as was, became, count(*) as people
from applied group by applied.was, became;

-- name: write_direct_newcomers(entity, now)
-- The people who are new and of whom one record speaks, which says it all. Returns them by state.
with added as (
    insert into subscription (id, entity, phone, match_key, person_hash, country, time_zone, status, status_at,
                              consent_event_id, attributes, language, records, created_at, updated_at)
    overriding system value
    select id, :entity, phone, match_key, person_hash, country, time_zone,
           case when consent then 'subscribed' else 'unsubscribed' end, occurred_at, event_id, attributes, language, 1,
           :now, :now
    from plain_newcomer
    returning status
), noted as (
    insert into spoken (entity, person_hash, source, status, status_at)
    select :entity, person_hash, source, 'unsubscribed', occurred_at
    from plain_newcomer
    where not consent
)
select status, count(*) as people from added group by status;

-- name: distrust_memory()#
-- The end of `trust_memory`.
set local random_page_cost to default;

-- name: write_newcomers(entity, now)
-- The other people who are new, with the state that is theirs. Returns them by state.
with added as (
    insert into subscription (id, entity, phone, match_key, person_hash, country, time_zone, status, status_at,
                              consent_event_id, attributes, language, records, created_at, updated_at)
    overriding system value
    select n.id, :entity, n.phone, n.match_key, n.person_hash, n.country, n.time_zone, d.status, d.status_at,
           d.consent_event_id, f.attributes, f.language, f.records, :now, :now
    from newcomer n
    join projected d on d.subscription_id = n.id
    join profile f on f.subscription_id = n.id
    order by n.id
    returning status
)
select status, count(*) as people from added group by status;

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

-- name: known_people(entity, most)$
-- How many people an entity has, counted no further than to `most`. Read only.
select count(*)
from (select from subscription where entity = :entity and status not in ('unknown', 'erased') limit :most) p;

-- name: close_runs(now, runs, outcomes, released_by)!
-- The runs count from now on: this commits with the rows they brought.
update sync_run r
set state = 'applied', finished_at = :now, problem = null, outcome = o.outcome, asked_until = null,
    released_by = case when r.state = 'held' then :released_by end
from unnest(:runs::bigint[], :outcomes::jsonb[]) as o (id, outcome)
where r.id = o.id;

-- name: hold_runs(now, problem, figures, runs)!
-- The guard stopped these runs; their rows stay in staging until somebody releases them.
update sync_run
set state = 'held', finished_at = :now, problem = :problem, outcome = :figures
where id = any (:runs::bigint[]);

-- name: ask_about(entity, runs, now, until)!
-- One question at a time: an entity's held runs are asked about unless somebody is being asked already.
update sync_run
set asked_until = :until
where id = any (:runs::bigint[])
  and not exists (select from sync_run other
                  where other.entity = :entity and other.state = 'held' and other.asked_until > :now);

-- name: clear_staging(runs)!
-- The runs' rows are in the ledger, or lost.
select clear_staging(:runs::bigint[])::text;
