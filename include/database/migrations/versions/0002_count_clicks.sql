-- Tracked links: one row per button of a campaign instead of one per person, and clicks counted per person and link.
-- Nothing wrote the two tables before this version.
drop table link_click;
drop table link;

create table link (
    id              bigint generated always as identity primary key,
    campaign_id     bigint not null references campaign (id),
    template        text not null,
    language        text not null,
    button          smallint not null,
    label           text not null,
    target          text not null,
    created_at      timestamptz not null default now(),
    unique (campaign_id, template, language, button)
);
comment on table link is 'A URL button of a campaign and where it leads, frozen with the plan: redirects go nowhere else. Which person a link was made for stands in its token alone, encrypted.';
comment on column link.target is 'The whole address, UTM parameters included.';

create table link_click (
    link_id         bigint not null references link (id),
    subscription_id bigint not null,
    is_robot        boolean not null,
    clicks          bigint not null,
    first_at        timestamptz not null,
    last_at         timestamptz not null,
    primary key (link_id, subscription_id, is_robot)
);
comment on table link_click is 'One person''s fetches of a link, people and robots (previews, scanners) apart. One row however often it is fetched, so that nobody can fill the disk with one link.';

alter table report_campaign add column clicks bigint not null default 0;
comment on column report_campaign.clicks is 'Every click by people; clicked counts each of them once.';

create table report_campaign_link (
    campaign_id     bigint not null references campaign (id),
    link_id         bigint not null references link (id),
    people          bigint not null,
    clicks          bigint not null,
    robots          bigint not null,
    primary key (campaign_id, link_id)
);
comment on table report_campaign_link is 'Clicks by link; robots are fetches that no person made.';

create or replace view v_campaign_funnel as
select c.entity, c.id as campaign_id, c.name, c.state, c.created_at, c.started_at, c.sent_at, c.settled_at,
       r.target, r.excluded, r.planned, r.waiting, r.sending, r.uncertain, r.expired, r.rejected, r.accepted,
       r.awaiting, r.failed, r.delivered, r.read, r.clicked, r.replied, r.opted_out, r.balance,
       round(r.delivered::numeric / nullif(r.accepted, 0), 6) as delivery_rate,
       round(r.read::numeric / nullif(r.delivered, 0), 6) as read_rate,
       round(r.clicked::numeric / nullif(r.delivered, 0), 6) as click_rate,
       round(r.replied::numeric / nullif(r.delivered, 0), 6) as reply_rate,
       round(r.opted_out::numeric / nullif(r.delivered, 0), 6) as opt_out_rate,
       r.cost, r.cost_currency, r.cost_estimated, r.refreshed_at, r.clicks
from campaign c join report_campaign r on r.campaign_id = c.id;

create view v_link as
select c.entity, l.campaign_id, c.name as campaign, l.id as link_id, l.template, l.language, l.button, l.label, l.target,
       coalesce(r.people, 0) as people, coalesce(r.clicks, 0) as clicks, coalesce(r.robots, 0) as robots
from link l
join campaign c on c.id = l.campaign_id
left join report_campaign_link r on r.campaign_id = l.campaign_id and r.link_id = l.id;
comment on view v_link is 'BI: one row per tracked button of a campaign, with people, clicks and robots'' fetches.';

create view v_click as
select c.entity, l.campaign_id, k.link_id, k.subscription_id, k.is_robot, k.clicks, k.first_at, k.last_at
from link_click k
join link l on l.id = k.link_id
join campaign c on c.id = l.campaign_id;
comment on view v_click is 'BI: one row per person and tracked button that was opened.';
