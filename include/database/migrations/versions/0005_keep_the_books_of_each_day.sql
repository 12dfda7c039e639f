-- What a day brought back: our ledger against CM.com's log, and the figures by which Meta judges a sender.

create table log_day (
    entity          text not null,
    day             date not null,
    accepted        bigint not null,
    logged          bigint not null,
    missing         bigint not null,
    unheard         bigint not null,
    strangers       bigint not null,
    priced_apart    bigint not null,
    compared_at     timestamptz not null,
    primary key (entity, day)
);
comment on table log_day is 'A day (UTC) of our accepted messages against CM.com''s log: accepted = logged + missing.';
comment on column log_day.unheard is 'Messages of whose outcome the log told something that no webhook had told.';
comment on column log_day.strangers is 'Messages in the log that we never sent.';
comment on column log_day.priced_apart is 'Messages that the log charges at another price than our rate table says.';

create table log_day_cost (
    entity          text not null,
    day             date not null,
    currency        text not null,
    messages        bigint not null,
    charged         numeric not null,
    expected        numeric not null,
    unrated         bigint not null,
    primary key (entity, day, currency)
);
comment on table log_day_cost is 'What CM.com''s log charges for a day''s delivered messages, and what our rates say of the same ones; unrated have no rate.';

create table report_campaign_day (
    campaign_id     bigint not null references campaign (id),
    day             date not null,
    accepted        bigint not null,
    delivered       bigint not null,
    read            bigint not null,
    failed          bigint not null,
    undeliverable   bigint not null,
    limited         bigint not null,
    stopped         bigint not null,
    opted_out       bigint not null,
    primary key (campaign_id, day)
);
comment on table report_campaign_day is 'What became of the messages accepted on a day (UTC): the sender''s reputation, day by day.';
comment on column report_campaign_day.limited is 'Failed with 131048 (spam rate limit, CM.com''s 63) or 131049 (limit per person).';
comment on column report_campaign_day.stopped is 'Failed with 131050: the person switched off marketing in WhatsApp.';

create table report_reachability (
    entity          text not null,
    reachability    text not null,
    people          bigint not null,
    refreshed_at    timestamptz not null,
    primary key (entity, reachability)
);
comment on table report_reachability is 'Subscribed people of an entity by what is known of their WhatsApp, counted at most once an hour.';

create view v_log_day as
select d.entity, d.day, d.accepted, d.logged, d.missing, d.unheard, d.strangers, d.priced_apart, c.currency, c.messages,
       c.charged, c.expected, c.unrated, d.compared_at
from log_day d left join log_day_cost c on c.entity = d.entity and c.day = d.day;
comment on view v_log_day is 'BI: one row per day (and currency): our messages against CM.com''s log, and its prices against ours.';

create view v_reputation as
select c.entity, c.connection_id, r.day, sum(r.accepted)::bigint as accepted, sum(r.delivered)::bigint as delivered,
       sum(r.read)::bigint as read, sum(r.failed)::bigint as failed, sum(r.undeliverable)::bigint as undeliverable,
       sum(r.limited)::bigint as limited, sum(r.stopped)::bigint as stopped, sum(r.opted_out)::bigint as opted_out,
       round(sum(r.failed) / nullif(sum(r.accepted), 0), 6) as failure_share,
       round(sum(r.limited) / nullif(sum(r.accepted), 0), 6) as limited_share,
       round(sum(r.opted_out) / nullif(sum(r.delivered), 0), 6) as opt_out_share
from report_campaign_day r join campaign c on c.id = r.campaign_id
group by c.entity, c.connection_id, r.day;
comment on view v_reputation is 'BI: one row per entity, connection and day of acceptance: failures, Meta''s limits, opt-outs and their shares.';

-- What the pages list of the last weeks.
create index inbound_message_received on inbound_message (entity, received_at);
create index reply_outbox_created on reply_outbox (entity, created_at);
