-- name: apply_events(refs, months, campaigns, people, attempts, statuses, codes, texts, times, raws, sources, prices, currencies, countries, entities, now, undeliverable_codes, stop_codes)^
-- The one way in for statuses, from the webhook and from the log: message_event, campaign_message, subscription's
-- reachability and set_aside, in one statement. Safe to repeat, in any order, and to run concurrently: everything is a
-- maximum, a minimum or "once"; ledger rows are locked in key order. Writes nothing for what is known already.
with incoming as materialized (
    select *
    from unnest(:refs::text[], :months::integer[], :campaigns::bigint[], :people::bigint[], :attempts::integer[],
                :statuses::text[], :codes::integer[], :texts::text[], :times::timestamptz[], :raws::text[],
                :sources::text[], :prices::numeric[], :currencies::text[], :countries::text[])
         with ordinality as given (reference, month, campaign_id, subscription_id, attempt, status, error_code, error_text,
                                   occurred_at, received_raw, source, price, currency, country, position)
), known as materialized (
    -- The lock also makes `rank` the present one: nobody changes the row between here and the update below.
    select i.*, c.entity, m.attempt as newest_attempt, state_rank(m.state) as rank, state_rank(i.status) as told
    from incoming i
    join campaign_message m on m.month = i.month and m.campaign_id = i.campaign_id and m.subscription_id = i.subscription_id
    join campaign c on c.id = m.campaign_id
    where i.attempt between 1 and m.attempt and c.entity = any(:entities::text[])
    order by i.month, i.campaign_id, i.subscription_id
    for no key update of m
), recorded as (
    insert into message_event (month, campaign_id, subscription_id, attempt, status, error_code, error_text, occurred_at,
                               received_raw, source)
    select month, campaign_id, subscription_id, attempt, status, error_code, error_text, occurred_at, received_raw, source
    from known order by position
    on conflict do nothing
    returning month, campaign_id, subscription_id, attempt, status, error_code, occurred_at
), best as (
    -- An earlier attempt's failure says nothing about the present one; that it arrived says everything. Nothing moves
    -- an excluded row, whose rank is null.
    select month, campaign_id, subscription_id, rank,
           max(told) as told,
           min(occurred_at) as first_at,
           min(occurred_at) filter (where status in ('delivered', 'read')) as delivered_at,
           min(occurred_at) filter (where status = 'read') as read_at,
           min(occurred_at) filter (where status in ('failed', 'rejected')) as failed_at,
           (array_agg(error_code order by error_code is null, occurred_at, error_code)
               filter (where status in ('failed', 'rejected')))[1] as error_code,
           bool_or(status <> 'rejected') as was_accepted,
           bool_or(source = 'log') as logged,
           max(price) as price, max(currency) as currency, max(country) as country
    from known
    where rank is not null and (attempt = newest_attempt or status in ('delivered', 'read'))
    group by month, campaign_id, subscription_id, rank
), judged as (
    select *, greatest(told, rank) between state_rank('rejected') and state_rank('failed') as failing,
           case when told > rank then (array['accepted', 'rejected', 'failed', 'delivered', 'read'])
                                      [told - state_rank('accepted') + 1] end as state
    from best
), changed as (
    update campaign_message m
    set state = coalesce(b.state, m.state),
        -- A row whose answer was lost left our hands when it was claimed.
        accepted_at = case when b.was_accepted then coalesce(m.accepted_at, m.claimed_at, b.first_at) else m.accepted_at end,
        delivered_at = least(m.delivered_at, b.delivered_at),
        read_at = least(m.read_at, b.read_at),
        failed_at = case when b.failing then least(m.failed_at, b.failed_at) end,
        error_code = case when b.failing then coalesce(m.error_code, b.error_code) end,
        error_source = case when b.failing then coalesce(m.error_source, 'status') end,
        logged_at = coalesce(m.logged_at, case when b.logged then :now::timestamptz end),
        price = coalesce(b.price, m.price),
        currency = case when b.price is null then m.currency else b.currency end,
        country = coalesce(m.country, b.country),
        updated_at = statement_timestamp()
    from judged b
    where m.month = b.month and m.campaign_id = b.campaign_id and m.subscription_id = b.subscription_id
      and (b.state is not null
           or b.delivered_at < coalesce(m.delivered_at, 'infinity')
           or b.read_at < coalesce(m.read_at, 'infinity')
           or (b.failing and (b.failed_at < coalesce(m.failed_at, 'infinity')
                              or (m.error_code is null and b.error_code is not null)))
           or (b.logged and m.logged_at is null)
           or (b.price is not null and (b.price, b.currency) is distinct from (m.price, m.currency)))
    returning m.state
), heard as (
    select subscription_id,
           max(occurred_at) filter (where status in ('delivered', 'read')) as reached_at,
           max(occurred_at) filter (where missed) as missed_at,
           array_agg(campaign_id) filter (where missed) as missed_in
    from (select *, status = 'failed' and error_code = any(:undeliverable_codes::integer[]) as missed from recorded) r
    group by subscription_id
), missing as materialized (
    -- Once, and not again for each person heard of. Bad news is rare. In how many campaigns has it come, within the days of
    -- the rule that the newest of them was planned
    -- with, since the last good news: a delivery, a message of theirs, a new yes?
    select h.subscription_id, rule.campaigns as most, counted.campaigns
    from heard h
    join subscription s on s.id = h.subscription_id
    cross join lateral (
        select coalesce((c.parameters ->> 'undeliverable_campaigns')::integer, 2) as campaigns,
               coalesce((c.parameters ->> 'undeliverable_days')::integer, 30) as days
        from campaign c where c.id = any (h.missed_in) order by c.id desc limit 1
    ) rule
    cross join lateral (
        select greatest(max(m.delivered_at), s.last_inbound_at, case when s.status = 'subscribed' then s.status_at end) as at
        from campaign_message m where m.subscription_id = h.subscription_id
    ) good
    cross join lateral (
        select count(*) as campaigns from (
            select m.campaign_id from campaign_message m
            where m.subscription_id = h.subscription_id and m.state = 'failed'
              and m.error_code = any(:undeliverable_codes::integer[])
              and m.failed_at > h.missed_at - make_interval(days => rule.days)
              and m.failed_at > coalesce(good.at, '-infinity')
            union
            select unnest(h.missed_in)
        ) campaigns
    ) counted
    where h.missed_at is not null
), reachable as (
    -- Bad news, and good news that ends it; the newest evidence counts. That an unknown person turns out to be reachable
    -- is noted in bulk (confirm_reachable), or every first message would cost a second update here.
    update subscription s
    set reachability = case when h.reached_at >= coalesce(h.missed_at, '-infinity') then 'confirmed'
                            when m.campaigns >= m.most then 'unreachable'
                            else s.reachability end,
        undeliverable = case when h.reached_at >= coalesce(h.missed_at, '-infinity') then 0
                             else least(m.campaigns, 1000) end,
        reachability_at = greatest(h.reached_at, h.missed_at),
        updated_at = statement_timestamp()
    from heard h left join missing m on m.subscription_id = h.subscription_id
    where s.id = h.subscription_id and (h.missed_at is not null or s.undeliverable > 0 or s.reachability = 'unreachable')
      and greatest(h.reached_at, h.missed_at) > coalesce(s.reachability_at, '-infinity')
    returning 1
), aside as (
    insert into set_aside (entity, kind, reason, reference, body)
    select distinct on (i.reference) (:entities::text[])[1], case i.source when 'log' then 'log_row' else 'status' end,
           case when i.month is null then 'foreign_reference' else 'unknown_reference' end, i.reference,
           jsonb_build_object('status', i.status, 'error_code', i.error_code, 'occurred_at', i.occurred_at)::text
    -- `not in`, which is always hashed: PostgreSQL takes the arrays for ten elements, and would compare each with each.
    from incoming i where i.position not in (select k.position from known k)
    order by i.reference, i.position
    on conflict do nothing
    returning 1
)
select (select count(*) from incoming) as received,
       (select count(*) from known) as known,
       (select count(*) from recorded) as recorded,
       (select count(*) from changed) as changed,
       (select count(*) from reachable) as reachability,
       (select count(*) from aside) as set_aside,
       (select coalesce(jsonb_agg(jsonb_build_object('entity', k.entity, 'subscription_id', r.subscription_id,
                                                     'reference', k.reference, 'occurred_at', r.occurred_at)), '[]')
        from recorded r
        join known k using (month, campaign_id, subscription_id, attempt, status, occurred_at)
        where r.status = 'failed' and r.error_code = any(:stop_codes::integer[])) as stops;

-- name: watermark(entity, direction)$
-- Up to when the log was read in full; null at first. Read only.
select max(to_time) from log_window where entity = :entity and direction = :direction;

-- name: record_window(entity, direction, from_time, to_time, rows, now)!
-- A span was read in full. Repeatable.
insert into log_window (entity, direction, from_time, to_time, rows, pulled_at)
values (:entity, :direction, :from_time, :to_time, :rows, :now)
on conflict (entity, direction, from_time, to_time) do update set rows = excluded.rows, pulled_at = excluded.pulled_at;

-- name: last_revisit(name)$
-- When days with open messages were last read again. Read only.
select value::timestamptz from setting where name = :name;

-- name: record_revisit(name, now)!
-- Repeatable.
insert into setting (name, value) values (:name, :now::timestamptz::text)
on conflict (name) do update set value = excluded.value, updated_at = now();

-- name: open_days(entity, since)
-- Days (UTC) on which messages left whose end is not known yet. Reads the ledger rows of the entity's recent campaigns.
select distinct (coalesce(m.accepted_at, m.claimed_at) at time zone 'UTC')::date as day
from campaign c join campaign_message m on m.month = c.month and m.campaign_id = c.id
where c.entity = :entity and coalesce(c.started_at, c.created_at) >= :since
  and m.state in ('sending', 'uncertain', 'accepted') and coalesce(m.accepted_at, m.claimed_at) >= :since;

-- name: books(entity, since, until)^
-- Messages of ours that left in the span: how many the log has never shown, and how many wait for an answer. Read only.
select count(*) filter (where m.accepted_at is not null and m.logged_at is null) as missing,
       count(*) filter (where m.state in ('sending', 'uncertain')) as uncertain
from campaign c join campaign_message m on m.month = c.month and m.campaign_id = c.id
where c.entity = :entity and coalesce(c.settled_at, 'infinity') >= :since
  and coalesce(m.accepted_at, m.claimed_at) >= :since and coalesce(m.accepted_at, m.claimed_at) < :until;

-- name: confirm_reachable(entity, since)!
-- People of whose delivered messages we learnt since: they are on WhatsApp. Repeatable; bad news that is newer stays.
update subscription s
set reachability = 'confirmed', undeliverable = 0, reachability_at = d.delivered_at, updated_at = statement_timestamp()
from (select m.subscription_id, max(m.delivered_at) as delivered_at
      from campaign c join campaign_message m on m.month = c.month and m.campaign_id = c.id
      where c.entity = :entity and coalesce(c.settled_at, 'infinity') >= :since
        and m.delivered_at is not null and m.updated_at >= :since
      group by m.subscription_id) d
where s.id = d.subscription_id and s.reachability = 'unknown'
  and d.delivered_at > coalesce(s.reachability_at, '-infinity');
