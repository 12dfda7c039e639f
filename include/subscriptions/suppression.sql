-- name: record(name, value)!
-- Keep a fact that must not change; the first value stays.
insert into setting (name, value) values (:name, :value) on conflict (name) do nothing;

-- name: recorded(name)$
-- A fact as recorded. Read only.
select value from setting where name = :name;
