-- name: make_people(entity, people)!
-- People who all said yes in one source.
insert into subscription (id, entity, phone, match_key, person_hash, status, status_at, consent_event_id, language, country,
                          time_zone, attributes, records)
overriding system value
select n, :entity, '+3247' || lpad(n::text, 7, '0'), '+3247' || lpad(n::text, 7, '0'),
       sha256(convert_to(n::text, 'UTF8')), 'subscribed', timestamptz '2026-01-01 10:00+00', n, 'nl', 'BE', 'Europe/Brussels',
       '{"first_name": "An", "city": "Gent"}', 1
from generate_series(1, :people::bigint) n;

-- name: make_events(entity)!
-- Their consent.
insert into consent_event (id, subscription_id, action, occurred_at, source, source_record_id, collection_point, method,
                           wording_id, wording_language)
overriding system value
select id, id, 'grant', status_at, 'bench', 'r' || id, 'a form', 'checkbox', 'w1', 'nl' from subscription where entity = :entity;

-- name: make_records(entity)!
-- What the source says of them.
insert into source_record (entity, source, record_id, subscription_id, record_at, occurred_at, consent, phone_key, language,
                           attributes)
select entity, 'bench', 'r' || id, id, status_at, status_at, true, hashtextextended(phone, 0), language, attributes
from subscription where entity = :entity;

-- name: move_counters()#
-- The next ids come after those given here.
select setval(pg_get_serial_sequence('subscription', 'id'), (select max(id) from subscription));
select setval(pg_get_serial_sequence('consent_event', 'id'), (select max(id) from consent_event));

-- name: make_floor()#
-- The least that any solution needs: one table of people, one of what arrived.
create table floor_people (like subscription including defaults);
insert into floor_people select * from subscription;
alter table floor_people add primary key (match_key);
create unlogged table floor_staging (like optin_staging);

-- name: empty_floor()#
-- The same rows as the other way, no more.
truncate floor_staging;

-- name: merge_floor()!
-- One MERGE that leaves unchanged rows alone.
merge into floor_people p
using floor_staging s on p.match_key = s.match_key
when matched and (p.status, p.status_at, p.language, p.attributes) is distinct from
                 (case when s.consent then 'subscribed' else 'unsubscribed' end, s.occurred_at, s.language, s.attributes) then
    update set status = case when s.consent then 'subscribed' else 'unsubscribed' end, status_at = s.occurred_at,
               language = s.language, attributes = s.attributes
when not matched then
    insert (id, entity, phone, match_key, status, status_at, language, country, time_zone, attributes)
    values (0, 'bench', s.phone, s.match_key, case when s.consent then 'subscribed' else 'unsubscribed' end, s.occurred_at,
            s.language, s.country, s.time_zone, s.attributes);

-- name: open_run(entity, staged)$
-- A pull that is done.
insert into sync_run (entity, source, run_key, state, watermark, pulled, staged, collection_point, method, wording_id)
values (:entity, 'bench', gen_random_uuid()::text, 'staged', '2026-03-01', :staged, :staged, 'a form', 'checkbox', 'w1')
returning id;
