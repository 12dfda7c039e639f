-- name: register(connection_id, messages_per_second)!
-- The integration's rate, as its connection says now. Safe to run concurrently.
insert into integration (connection_id, messages_per_second) values (:connection_id, :messages_per_second)
on conflict (connection_id) do update
set messages_per_second = excluded.messages_per_second, updated_at = now()
where integration.messages_per_second <> excluded.messages_per_second;

-- name: lock_rate(connection_id)^
-- The rate, locked: workers of one integration agree on their shares one after the other. Half of it while somebody says that
-- the number's quality is YELLOW.
select case when quality = 'YELLOW' then greatest(messages_per_second / 2, 1) else messages_per_second end as messages_per_second
from integration where connection_id = :connection_id for update;

-- name: set_quality(connection_id, quality, who)!
-- What a person has seen of the number's quality. Every worker obeys within seconds.
insert into integration (connection_id, messages_per_second, quality, quality_at, quality_by)
values (:connection_id, 80, :quality, now(), :who)
on conflict (connection_id) do update
set quality = excluded.quality, quality_at = excluded.quality_at, quality_by = excluded.quality_by, updated_at = now();

-- name: drop_expired(connection_id, worker)!
-- Leases of workers that are gone. A worker stops by itself some time before its lease expires (pacing.HOLD).
delete from sender_lease where connection_id = :connection_id and expires_at < clock_timestamp() and worker <> :worker;

-- name: leases(connection_id)
-- Every lease of the integration. Called with the integration's row locked.
select worker, campaign_id, own_rate, share, held from sender_lease where connection_id = :connection_id;

-- name: renew(connection_id, worker, campaign_id, own_rate, share, held, ttl)!
-- Take a share. Called with the integration's row locked.
insert into sender_lease (connection_id, worker, campaign_id, own_rate, share, held, expires_at)
values (:connection_id, :worker, :campaign_id, :own_rate, :share, :held, clock_timestamp() + make_interval(secs => :ttl))
on conflict (connection_id, worker) do update
set share = excluded.share, held = excluded.held, own_rate = excluded.own_rate, expires_at = excluded.expires_at;

-- name: leave(connection_id, worker, campaign_id, parts, held, seconds)!
-- A worker ends: what is still in its last second stays held, in parts that expire one after the other. Called with the
-- integration's row locked.
with ended as (
    delete from sender_lease where connection_id = :connection_id and worker = :worker
)
insert into sender_lease (connection_id, worker, campaign_id, own_rate, share, held, expires_at)
select :connection_id, part.name, :campaign_id, 0, 0, part.held, clock_timestamp() + make_interval(secs => part.seconds)
from unnest(:parts::text[], :held::integer[], :seconds::float8[]) as part (name, held, seconds);

-- name: lock_portfolio(portfolio)
-- Everybody who takes from a portfolio's limit does so one after the other, until the end of the transaction.
select pg_advisory_xact_lock(hashtext('daily_use'), hashtext(:portfolio));

-- name: take_people(portfolio, people, daily_limit)^
-- Take up to `people` of what is left of the last 24 hours' limit. Call it with the portfolio locked.
with used as (
    -- whole hours: the hour that began more than 24 hours ago still counts, so the limit is never exceeded
    select coalesce(sum(d.people), 0) as people from daily_use d
    where d.portfolio = :portfolio and d.hour > now() - interval '25 hours'
), granted as (
    select greatest(least(:people, :daily_limit - used.people), 0)::bigint as people from used
), written as (
    insert into daily_use (portfolio, hour, people)
    select :portfolio, date_trunc('hour', now()), granted.people from granted where granted.people > 0
    on conflict (portfolio, hour) do update set people = daily_use.people + excluded.people
)
select granted.people,
       (select min(d.hour) + interval '25 hours' from daily_use d
        where d.portfolio = :portfolio and d.hour > now() - interval '25 hours' and d.people > 0) as again_at
from granted;

-- name: give_back_people(portfolio, people)!
-- Whoever was not written to after all.
update daily_use set people = people - :people
where portfolio = :portfolio
  and hour = (select max(hour) from daily_use where portfolio = :portfolio and people >= :people);
