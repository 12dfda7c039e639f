-- Bulk calls that a source counts, and the daily comparison of what sources say with what we know.

create table bulk_call (
    id              bigint generated always as identity primary key,
    connection      text not null,
    target          text not null,
    called_at       timestamptz not null
);
create index bulk_call_recent on bulk_call (connection, target, called_at);
comment on table bulk_call is 'Bulk calls to a system that allows few in a day (Actito: 24 for each table in 24 hours).';

create table optin_comparison (
    entity          text not null,
    source          text not null,
    compared_at     timestamptz not null,
    records         bigint not null,
    alerts          bigint not null,
    differences     jsonb not null,
    primary key (entity, source)
);
comment on table optin_comparison is 'The last comparison of everything a source holds with our table: how many records differ, by kind.';

create table optin_difference (
    entity          text not null,
    source          text not null,
    record_id       text not null,
    subscription_id bigint,
    difference      text not null,
    is_alert        boolean not null,
    said_there_at   timestamptz,
    said_here_at    timestamptz,
    compared_at     timestamptz not null,
    primary key (entity, source, record_id)
);
create index optin_difference_alerts on optin_difference (entity, source) where is_alert;
comment on table optin_difference is 'Records of which a source says something else than we know, as last compared: every alert, and some of the others.';

create index optout_outbox_open on optout_outbox (entity) where state <> 'done';
create index optout_outbox_told on optout_outbox (entity, done_at);
