-- name: days(entity, since)
-- An entity's messages by connection and day of acceptance. Read only.
select connection_id, day, accepted, delivered, read, failed, undeliverable, limited, stopped, opted_out
from v_reputation
where entity = :entity and day >= :since
order by connection_id, day;

-- name: templates(entity)
-- What CM.com last told of the templates. Read only.
select name, language, category, status, quality, checked_at from template where entity = :entity order by name, language;

-- name: connections(entity)
-- Connections the entity has sent through, with Meta's quality of the number as somebody entered it. Read only.
select connection_id, messages_per_second, quality, quality_at
from integration where connection_id in (select connection_id from campaign where entity = :entity)
order by connection_id;

-- name: reachability(entity)
-- Subscribed people by what is known of their WhatsApp, as last counted. Read only.
select reachability, people, refreshed_at from report_reachability
where entity = :entity and people > 0 order by people desc, reachability;

-- name: counted_at(entity)$
-- When reachability was last counted; null before the first time. Read only.
select min(refreshed_at) from report_reachability where entity = :entity;

-- name: count_reachability(entity, now)!
-- Count and store, in one statement. Reads every person of the entity. Repeatable.
insert into report_reachability (entity, reachability, people, refreshed_at)
select :entity, kind.reachability, count(s.id), :now
from (values ('confirmed'), ('unreachable'), ('unknown')) as kind (reachability)
left join subscription s on s.entity = :entity and s.status = 'subscribed' and s.reachability = kind.reachability
group by kind.reachability
on conflict (entity, reachability) do update set people = excluded.people, refreshed_at = excluded.refreshed_at;
