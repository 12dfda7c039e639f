-- name: prepare()#
-- What a source holds now, for this transaction.
create temporary table there (
    record_id text not null, consent boolean not null, occurred_at timestamptz, record_at timestamptz
) on commit drop;

-- name: measure()#
-- Nobody else counts a temporary table's rows.
analyze there;

-- name: find_differences(entity, source, now, grace)!
-- Every record of which the source says something else than we know, into a table of this transaction. Alerts are those
-- that break a promise: somebody withdrew here and the source still says yes although it was told, or should have been;
-- or somebody withdrew there, and we have not heard of it although we have heard of later things.
create temporary table differing on commit drop as
with said_there as (
    select distinct on (record_id) record_id, consent, occurred_at
    from there
    where record_id <> ''
    order by record_id, record_at desc nulls last, occurred_at desc nulls last, consent
), said_here as (
    select k.record_id, k.subscription_id, k.consent, s.status, s.status_at, s.consent_event_id,
           e.source = :source and e.source_record_id = k.record_id as is_its_word
    from source_record k
    left join subscription s on s.id = k.subscription_id
    left join consent_event e on e.id = s.consent_event_id
    where k.entity = :entity and k.source = :source
), reached as (
    select max(watermark) as until from sync_run where entity = :entity and source = :source and state = 'applied'
), judged as (
    select coalesce(t.record_id, h.record_id) as record_id, h.subscription_id, h.consent_event_id, t.occurred_at as said_there_at,
           h.status_at as said_here_at,
           case
               when t.consent and h.status = 'unsubscribed' and t.occurred_at > h.status_at then 'newer_yes_there'
               when t.consent and h.status = 'unsubscribed' and exists (
                   select from optout_outbox o
                   where o.entity = :entity and o.source = :source and o.source_record_id = t.record_id
                     and (o.state = 'due' and o.created_at > :now::timestamptz - :grace::interval
                          or o.state = 'done' and o.done_at > :now::timestamptz - :grace::interval)
                   ) then 'on_its_way'
               when t.consent and h.status = 'unsubscribed' then 'withdrawn_here_true_there'
               when t.consent and h.status = 'erased' then 'erased_here_true_there'
               when t.consent and h.record_id is null then 'yes_unknown_here'
               when not t.consent and h.status = 'subscribed' and h.is_its_word then
                   case when coalesce(t.occurred_at, '-infinity') > reached.until then 'newer_no_there'
                        else 'withdrawn_there_true_here' end
               when t.record_id is null and h.consent and h.status = 'subscribed' and h.is_its_word then 'gone_there'
           end as difference
    from said_there t
    full join said_here h using (record_id)
    cross join reached
)
select *, difference in ('withdrawn_here_true_there', 'withdrawn_there_true_here') as is_alert
from judged where difference is not null;

-- name: forget(entity, source)!
-- What the comparison before found.
delete from optin_difference where entity = :entity and source = :source;

-- name: keep(entity, source, now, most)!
-- Every alert, and the first of the others of each kind.
insert into optin_difference (entity, source, record_id, subscription_id, difference, is_alert, said_there_at, said_here_at,
                              compared_at)
select :entity, :source, record_id, subscription_id, difference, is_alert, said_there_at, said_here_at, :now
from (select *, row_number() over (partition by difference order by record_id) as place from differing) d
where is_alert or place <= :most;

-- name: counts()
-- How many records differ, by kind. Read only.
select difference, is_alert, count(*) as records from differing group by difference, is_alert order by difference;

-- name: close(entity, source, now, records, alerts, differences)!
-- That the source was compared, and what came of it; the newest comparison stands.
insert into optin_comparison (entity, source, compared_at, records, alerts, differences)
values (:entity, :source, :now, :records, :alerts, :differences)
on conflict (entity, source) do update
set compared_at = excluded.compared_at, records = excluded.records, alerts = excluded.alerts,
    differences = excluded.differences;

-- name: tell_again(entity, source, now)!
-- Whoever withdrew here and still says yes there is told to the source once more, whatever it answered before.
insert into optout_outbox as o (entity, source, source_record_id, subscription_id, consent_event_id, next_attempt_at, created_at)
select :entity, :source, record_id, subscription_id, consent_event_id, :now, :now
from differing where difference = 'withdrawn_here_true_there'
on conflict (consent_event_id, source, source_record_id) do update
set state = 'due', attempts = 0, next_attempt_at = :now, done_at = null
where o.state <> 'due';
