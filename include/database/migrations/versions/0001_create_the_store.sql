-- The store of design: consent in, one row per person and campaign out, every status back.
-- Keys: a person of an entity is a `subscription` row (surrogate bigint). A ledger row is (month, campaign, subscription).
-- No table but `subscription` and `inbound_message.raw` holds a phone number, so erasing a person is short.

create table setting (
    name        text primary key,
    value       text not null,
    updated_at  timestamptz not null default now()
);
comment on table setting is 'Facts that must not change unnoticed, such as the fingerprint of the suppression key.';

-- Opt-ins ------------------------------------------------------------------------------------------------------

create table sync_run (
    id              bigint generated always as identity primary key,
    entity          text not null,
    source          text not null,
    run_key         text,
    state           text not null default 'pulling'
                    check (state in ('pulling', 'staged', 'held', 'applied', 'lost', 'failed')),
    since           timestamptz,
    watermark       timestamptz,
    started_at      timestamptz not null default now(),
    finished_at     timestamptz,
    pulled          bigint not null default 0,
    staged          bigint not null default 0,
    rejected        bigint not null default 0,
    outcome         jsonb not null default '{}',
    problem         text
);
create index sync_run_entity_source on sync_run (entity, source, id);
comment on table sync_run is 'One pull of one source. The watermark counts once the state is applied: it is committed with the rows it covers.';

create unlogged table optin_staging (
    sync_run_id     bigint not null,
    record_id       text not null,
    phone           text,
    match_key       text,
    country         text,
    time_zone       text,
    consent         boolean not null,
    occurred_at     timestamptz not null,
    collection_point text,
    method          text,
    wording_id      text,
    language        text,
    attributes      jsonb not null default '{}'
);
comment on table optin_staging is 'One record as pulled, normalised. Unlogged: after a crash of the server the run is marked lost and pulled again.';

create table rejected_record (
    id              bigint generated always as identity primary key,
    sync_run_id     bigint not null references sync_run (id) on delete cascade,
    entity          text not null,
    source          text not null,
    record_id       text,
    reason          text not null,
    detail          text,
    rejected_at     timestamptz not null default now()
);
create index rejected_record_run on rejected_record (sync_run_id);
create index rejected_record_entity on rejected_record (entity, source, reason);
comment on table rejected_record is 'One record not taken, with its reason and the source''s own record id.';

create table consent_wording (
    entity          text not null,
    wording_id      text not null,
    language        text not null,
    wording         text not null,
    valid_from      date,
    recorded_at     timestamptz not null default now(),
    primary key (entity, wording_id, language)
);
comment on table consent_wording is 'What people were told (C2). Immutable: a changed text is a new wording id.';

create table subscription (
    id              bigint generated always as identity primary key,
    entity          text not null,
    phone           text,
    match_key       text,
    person_hash     bytea,
    status          text not null default 'unknown'
                    check (status in ('unknown', 'pending', 'subscribed', 'unsubscribed', 'expired', 'erased')),
    status_at       timestamptz,
    consent_event_id bigint,
    language        text,
    country         text,
    time_zone       text,
    attributes      jsonb not null default '{}',
    attributes_at   timestamptz,
    attributes_source text,
    bsuid           text,
    reachability    text not null default 'unknown' check (reachability in ('unknown', 'confirmed', 'unreachable')),
    reachability_at timestamptz,
    undeliverable   smallint not null default 0,
    last_inbound_at timestamptz,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    unique (entity, match_key)
) with (fillfactor = 90);
create index subscription_person_hash on subscription (person_hash);
create index subscription_audience on subscription (entity, status);
comment on table subscription is 'One person of an entity and their present state. status, status_at and consent_event_id are a projection of consent_event.';

create table consent_event (
    id              bigint generated always as identity primary key,
    subscription_id bigint not null references subscription (id),
    action          text not null check (action in ('grant', 'confirm', 'withdraw', 'object', 'expire', 'erase')),
    occurred_at     timestamptz not null,
    recorded_at     timestamptz not null default now(),
    source          text not null,
    source_record_id text not null,
    collection_point text,
    method          text,
    wording_id      text,
    wording_language text,
    purpose         text not null default 'marketing',
    evidence_ref    text,
    actor           text,
    sync_run_id     bigint,
    unique (subscription_id, occurred_at, action, source, source_record_id)
);
create index consent_event_record on consent_event (source, source_record_id);
comment on table consent_event is 'Append-only consent ledger with its proof (C1): who, when, source, record, collection point, wording.';

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: % refused', tg_table_name, lower(tg_op)
        using errcode = 'restrict_violation', hint = 'Write a new row that says what is true now.';
end $$;
create trigger consent_event_append_only before update or delete on consent_event
    for each statement execute function refuse_change();
create trigger consent_wording_immutable before update or delete on consent_wording
    for each statement execute function refuse_change();

create table suppression (
    entity          text not null,
    person_hash     bytea not null,
    reason          text not null,
    source          text not null,
    created_at      timestamptz not null default now(),
    primary key (entity, person_hash)
);
comment on table suppression is 'One person never to be messaged, and why. Keyed by HMAC of the match key, so it outlives erasure (C10).';

create table optout_outbox (
    id              bigint generated always as identity primary key,
    entity          text not null,
    source          text not null,
    source_record_id text not null,
    subscription_id bigint not null references subscription (id),
    consent_event_id bigint not null references consent_event (id),
    state           text not null default 'due' check (state in ('due', 'done', 'given_up')),
    attempts        smallint not null default 0,
    next_attempt_at timestamptz not null default now(),
    created_at      timestamptz not null default now(),
    done_at         timestamptz,
    problem         text,
    unique (consent_event_id, source, source_record_id)
);
create index optout_outbox_due on optout_outbox (entity, source, next_attempt_at) where state = 'due';
comment on table optout_outbox is 'A withdrawal on its way back to a source that holds the person: at least once, idempotent.';

-- Campaigns ----------------------------------------------------------------------------------------------------

create table template (
    entity          text not null,
    name            text not null,
    language        text not null,
    namespace       text not null,
    category        text not null check (category in ('marketing', 'utility', 'authentication')),
    status          text not null,
    quality         text,
    components      jsonb not null,
    variables       jsonb not null default '[]',
    checked_at      timestamptz not null default now(),
    primary key (entity, name, language)
);
comment on table template is 'One template in one language, as the provider last told. Only APPROVED may be sent.';

create table integration (
    connection_id   text primary key,
    messages_per_second numeric not null check (messages_per_second > 0),
    next_slot       timestamptz not null default now(),
    paused_reason   text,
    updated_at      timestamptz not null default now()
);
comment on table integration is 'One CM.com integration: the one row that all senders of it take their time slots from.';

create table campaign (
    id              bigint generated always as identity primary key,
    entity          text not null,
    name            text not null,
    run_key         text not null,
    connection_id   text not null,
    month           integer not null check (month between 202001 and 209912),
    parameters      jsonb not null,
    parameters_hash text not null,
    plan_hash       text,
    state           text not null default 'planning' check (state in ('planning', 'planned', 'approved', 'sending',
                    'paused', 'sent', 'settled', 'refused', 'cancelled')),
    state_reason    text,
    target          bigint,
    created_at      timestamptz not null default now(),
    planned_at      timestamptz,
    approved_at     timestamptz,
    approved_by     text,
    started_at      timestamptz,
    sent_at         timestamptz,
    settled_at      timestamptz,
    expires_at      timestamptz,
    updated_at      timestamptz not null default now(),
    unique (entity, run_key)
);
comment on table campaign is 'One campaign run: parameters frozen and hashed, who approved, state. run_key makes a retried or cleared task the same campaign.';

-- PRIMARY KEY is the promise "one person, one campaign, once"; the reference that CM.com echoes is computed from it,
-- so it is unique by construction, fits CM.com's 1-32 alphanumerics, and finds its partition without another index.
create table campaign_message (
    month           integer not null,
    campaign_id     bigint not null,
    subscription_id bigint not null,
    attempt         smallint not null default 1,
    reference       text not null generated always as
                    (month::text || 'c' || campaign_id::text || 's' || subscription_id::text || 'a' || attempt::text) stored,
    state           text not null check (state in ('planned', 'sending', 'accepted', 'delivered', 'read', 'excluded',
                    'rejected', 'failed', 'uncertain', 'expired')),
    reason          text,
    consent_event_id bigint,
    language        text,
    variant         text,
    country         text,
    variables       jsonb,
    not_before      timestamptz,
    claimed_by      text,
    claimed_at      timestamptz,
    accepted_at     timestamptz,
    delivered_at    timestamptz,
    read_at         timestamptz,
    failed_at       timestamptz,
    replied_at      timestamptz,
    clicked_at      timestamptz,
    opted_out_at    timestamptz,
    error_code      integer,
    error_source    text,
    price           numeric,
    currency        text,
    updated_at      timestamptz not null default now(),
    primary key (month, campaign_id, subscription_id),
    check (state <> 'excluded' or reason is not null)
) partition by range (month);
create index campaign_message_planned on campaign_message (campaign_id, subscription_id) where state = 'planned';
create index campaign_message_open on campaign_message (campaign_id, subscription_id) where state in ('sending', 'uncertain');
create index campaign_message_person on campaign_message (subscription_id, accepted_at);
comment on table campaign_message is 'The ledger: one person in one campaign.';

create table message_event (
    month           integer not null,
    campaign_id     bigint not null,
    subscription_id bigint not null,
    attempt         smallint not null,
    status          text not null check (status in ('accepted', 'rejected', 'delivered', 'failed', 'read')),
    error_code      integer,
    error_text      text,
    occurred_at     timestamptz not null,
    received_raw    text,
    recorded_at     timestamptz not null default now(),
    source          text not null check (source in ('send', 'webhook', 'log')),
    unique nulls not distinct (month, campaign_id, subscription_id, attempt, status, error_code)
) partition by range (month);
comment on table message_event is 'One status as received; a repeat is the same row. Append-only.';

create function ensure_month(wanted integer) returns void language plpgsql as $$
declare
    following integer := case when wanted % 100 = 12 then wanted + 89 else wanted + 1 end;
    parent text;
begin
    foreach parent in array array['campaign_message', 'message_event'] loop
        if to_regclass(format('%I', parent || '_' || wanted)) is null then
            -- Two planners may arrive at once: the lock makes the second one see the first one's partition.
            perform pg_advisory_xact_lock(hashtext(parent), wanted);
            execute format('create table if not exists %I partition of %I for values from (%s) to (%s)',
                           parent || '_' || wanted, parent, wanted, following);
        end if;
    end loop;
end $$;
comment on function ensure_month is 'Create the partitions of a month (yyyymm) of the ledger and its events when they are missing.';

create table inbound_message (
    id              bigint generated always as identity primary key,
    entity          text not null,
    dedupe_key      text not null,
    subscription_id bigint references subscription (id),
    campaign_id     bigint,
    reference       text,
    kind            text not null check (kind in ('reply', 'stop', 'start', 'help', 'button')),
    text            text,
    payload         text,
    media_uri       text,
    raw             jsonb,
    occurred_at     timestamptz not null,
    received_at     timestamptz not null default now(),
    source          text not null check (source in ('webhook', 'log')),
    unique (entity, dedupe_key)
);
create index inbound_message_subscription on inbound_message (subscription_id, occurred_at);
create index inbound_message_campaign on inbound_message (campaign_id, occurred_at);
comment on table inbound_message is 'One reply, its raw JSON, and the message it answers.';

create table set_aside (
    id              bigint generated always as identity primary key,
    entity          text not null,
    kind            text not null check (kind in ('status', 'inbound', 'log_row', 'unreadable')),
    reason          text not null,
    reference       text,
    body            text,
    received_at     timestamptz not null default now(),
    unique nulls not distinct (entity, kind, reason, reference)
);
comment on table set_aside is 'What came back and fits no message of ours, with the reason. Never dropped in silence.';

create table log_window (
    entity          text not null,
    direction       text not null check (direction in ('out', 'in')),
    from_time       timestamptz not null,
    to_time         timestamptz not null,
    rows            bigint not null,
    pulled_at       timestamptz not null default now(),
    primary key (entity, direction, from_time, to_time)
);
comment on table log_window is 'A window of CM.com''s message log that was pulled in full; the newest to_time is the watermark.';

create table link (
    token           text primary key,
    campaign_id     bigint not null references campaign (id),
    subscription_id bigint,
    target          text not null,
    created_at      timestamptz not null default now()
);
create table link_click (
    id              bigint generated always as identity primary key,
    token           text not null references link (token),
    clicked_at      timestamptz not null default now(),
    is_robot        boolean not null default false
);
comment on table link_click is 'One fetch of a tracked link.';

create table rate (
    effective_from  date not null,
    country         text not null,
    category        text not null check (category in ('marketing', 'utility', 'authentication', 'service')),
    price           numeric not null check (price >= 0),
    currency        text not null,
    primary key (country, category, effective_from)
);
comment on table rate is 'Price of a delivered message by country of the number and template category, from a date on. country ** is the rest of the world.';

-- Reports ------------------------------------------------------------------------------------------------------

create table report_campaign (
    campaign_id     bigint primary key references campaign (id),
    target          bigint not null,
    excluded        bigint not null,
    planned         bigint not null,
    sending         bigint not null,
    uncertain       bigint not null,
    accepted        bigint not null,
    rejected        bigint not null,
    failed          bigint not null,
    expired         bigint not null,
    delivered       bigint not null,
    read            bigint not null,
    awaiting        bigint not null,
    clicked         bigint not null,
    replied         bigint not null,
    opted_out       bigint not null,
    balance         bigint not null,
    cost            numeric,
    cost_currency   text,
    cost_estimated  boolean not null default true,
    refreshed_at    timestamptz not null default now()
);
comment on table report_campaign is 'The funnel of a campaign, computed from ledger rows only. balance is target - (excluded + final + in flight) and is always 0.';

create table report_campaign_reason (
    campaign_id     bigint not null references campaign (id),
    bucket          text not null check (bucket in ('excluded', 'rejected', 'failed', 'uncertain', 'expired')),
    reason          text not null,
    messages        bigint not null,
    primary key (campaign_id, bucket, reason)
);
create table report_campaign_country (
    campaign_id     bigint not null references campaign (id),
    country         text not null,
    target          bigint not null,
    accepted        bigint not null,
    delivered       bigint not null,
    read            bigint not null,
    failed          bigint not null,
    primary key (campaign_id, country)
);
create table report_campaign_hour (
    campaign_id     bigint not null references campaign (id),
    hour            timestamptz not null,
    accepted        bigint not null,
    delivered       bigint not null,
    read            bigint not null,
    replied         bigint not null,
    opted_out       bigint not null,
    primary key (campaign_id, hour)
);
