-- name: store(campaign_id, template, language, button, label, target)!
-- One tracked button of a campaign, frozen with its plan. Repeatable: the first target stays.
insert into link (campaign_id, template, language, button, label, target)
values (:campaign_id, :template, :language, :button, :label, :target)
on conflict do nothing;

-- name: of_campaign(campaign_id)
-- The tracked buttons of a campaign. Read only.
select id, template, language, button from link where campaign_id = :campaign_id order by id;

-- name: target(link_id)$
-- Where a link leads; nothing for one that there is not. Read only.
select target from link where id = :link_id;

-- name: record(links, people, times, robots)!
-- Count fetches: each person's row of a link, the first click in the ledger, and a mark for the report. Ledger rows are
-- locked in key order, as by statuses. Safe to run concurrently; not to repeat: every call counts.
with fetched as (
    select * from unnest(:links::bigint[], :people::bigint[], :times::timestamptz[], :robots::boolean[])
                  as given (link_id, subscription_id, fetched_at, is_robot)
), known as materialized (
    -- No row of the ledger, no click: the person's message is gone, or the key has come to another database.
    select f.link_id, f.subscription_id, f.is_robot, c.month, l.campaign_id, count(*) as clicks,
           min(f.fetched_at) as first_at, max(f.fetched_at) as last_at
    from fetched f
    join link l on l.id = f.link_id
    join campaign c on c.id = l.campaign_id
    where exists (select from campaign_message m where m.month = c.month and m.campaign_id = c.id
                  and m.subscription_id = f.subscription_id)
    group by f.link_id, f.subscription_id, f.is_robot, c.month, l.campaign_id
), counted as (
    insert into link_click as k (link_id, subscription_id, is_robot, clicks, first_at, last_at)
    select link_id, subscription_id, is_robot, clicks, first_at, last_at from known
    order by link_id, subscription_id, is_robot
    on conflict (link_id, subscription_id, is_robot) do update
    set clicks = k.clicks + excluded.clicks, first_at = least(k.first_at, excluded.first_at),
        last_at = greatest(k.last_at, excluded.last_at)
    returning link_id
), marked as (
    insert into report_change (campaign_id) select distinct campaign_id from known
), locked as materialized (
    select m.month, m.campaign_id, m.subscription_id, f.first_at
    from (select month, campaign_id, subscription_id, min(first_at) as first_at
          from known where not is_robot group by month, campaign_id, subscription_id) f
    join campaign_message m using (month, campaign_id, subscription_id)
    where m.clicked_at is null or m.clicked_at > f.first_at
    order by m.month, m.campaign_id, m.subscription_id
    for no key update of m
)
update campaign_message m
set clicked_at = least(m.clicked_at, l.first_at), updated_at = statement_timestamp()
from locked l
where m.month = l.month and m.campaign_id = l.campaign_id and m.subscription_id = l.subscription_id;
