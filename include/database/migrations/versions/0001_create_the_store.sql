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
    collection_point text,
    method          text,
    wording_id      text,
    shape           jsonb,
    outcome         jsonb not null default '{}',
    problem         text
);
create index sync_run_entity_source on sync_run (entity, source, id);
create unique index sync_run_key on sync_run (entity, source, run_key);
comment on column sync_run.shape is 'What the records looked like, in shares, for the contract check of the next pull.';
comment on table sync_run is 'One pull of one source. The watermark counts once the state is applied: it is committed with the rows it covers.';

create unlogged table optin_staging (
    sync_run_id     bigint not null,
    record_id       text not null,
    phone           text,
    match_key       text,
    country         text,
    time_zone       text,
    consent         boolean not null,
    timed           boolean not null,
    occurred_at     timestamptz not null,
    record_at       timestamptz not null,
    language        text,
    attributes      jsonb not null
);
comment on column optin_staging.record_id is 'The source''s own key; empty for a withdrawal that came without one.';
comment on column optin_staging.phone is 'Null for a withdrawal whose number cannot be read: it reaches the person by record_id.';
comment on column optin_staging.timed is 'False where the source gave no time for a withdrawal: occurred_at is then the time of the pull.';
comment on column optin_staging.record_at is 'The version of the record: the source''s changed column, else occurred_at.';
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

create table source_file (
    sync_run_id     bigint not null references sync_run (id) on delete cascade,
    name            text not null,
    mark            text not null,
    primary key (sync_run_id, name)
);
comment on table source_file is 'A file that a pull has read. mark is a hash of its content and of what is read from it: the same content under any name is not read again, unless the source is read in another way.';

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
    bsuid           text,
    reachability    text not null default 'unknown' check (reachability in ('unknown', 'confirmed', 'unreachable')),
    reachability_at timestamptz,
    undeliverable   smallint not null default 0,
    last_inbound_at timestamptz,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    unique (entity, match_key)
) with (fillfactor = 90);
-- No index on what changes: so a changed state is written beside the old one in its page (HOT) and no index hears of it.
comment on table subscription is 'One person of an entity and their present state. status, status_at and consent_event_id are a projection of consent_event.';

create table consent_event (
    id              bigint generated always as identity primary key,
    subscription_id bigint not null,
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
    -- What is new is recent: with the time in front, a day's events share a few pages of the index instead of one each.
    unique (occurred_at, subscription_id, action, source, source_record_id)
);
create index consent_event_subscription on consent_event (subscription_id);
-- No foreign key to subscription: the key's check locks the person's row for every event, which cost as much as all else of
-- a reconcile together, and nobody deletes a person (erasing empties the row).
comment on table consent_event is 'Append-only consent ledger with its proof (C1): who, when, source, record, collection point, wording.';

create table source_record (
    entity          text not null,
    source          text not null,
    record_id       text not null,
    subscription_id bigint,
    record_at       timestamptz,
    occurred_at     timestamptz,
    consent         boolean,
    withdrawn_at    timestamptz,
    spoke_of        bigint[] not null default '{}',
    phone_key       bigint,
    language        text,
    attributes      jsonb not null default '{}',
    primary key (entity, source, record_id)
) with (fillfactor = 90);
create index source_record_subscription on source_record (subscription_id);
comment on table source_record is 'What each source last said about each of its records, and which person that is. No phone number: phone_key is a 64-bit hash of it, to see that it changed.';
comment on column source_record.spoke_of is 'Every person the record ever spoke of, where that is more than the present one.';
comment on column source_record.withdrawn_at is 'The newest withdrawal by this record, whatever number it came with: it holds for every number the record ever gave.';

create function people_of(record source_record) returns bigint[] language sql immutable
return array_remove(record.spoke_of || record.subscription_id, null);
comment on function people_of is 'Every person a record ever spoke of.';

create function clear_staging(runs bigint[]) returns void language plpgsql as $$
begin
    -- Emptying the file is instant where deleting a million rows takes a second; it needs the table for a moment.
    lock table optin_staging in access exclusive mode nowait;
    if not exists (select from optin_staging where sync_run_id <> all (runs)) then
        truncate optin_staging;
        return;
    end if;
    raise lock_not_available;
exception when lock_not_available then
    delete from optin_staging where sync_run_id = any (runs);
end $$;
comment on function clear_staging is 'Remove the staged rows of runs, the quick way when no other run has any.';

create function is_newer(incoming source_record, known source_record) returns boolean language sql immutable
return coalesce((incoming.record_at, incoming.occurred_at, not incoming.consent, incoming.phone_key, incoming.attributes,
                 coalesce(incoming.language, ''))
                > (known.record_at, known.occurred_at, not known.consent, known.phone_key, known.attributes,
                   coalesce(known.language, '')),
                incoming.record_at is not null and known.record_at is null);
comment on function is_newer is 'Whether one version of a record follows another. Every column takes part, so two versions of one moment have one order too.';

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
create index optout_outbox_record on optout_outbox (entity, source, source_record_id);
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
    messages_per_second integer not null check (messages_per_second > 0),
    updated_at      timestamptz not null default now()
);
comment on table integration is 'One CM.com integration and its rate: the row that everything sending through it locks to agree on shares.';

create table sender_lease (
    connection_id   text not null references integration (connection_id),
    worker          text not null,
    share           integer not null check (share >= 0),
    held            integer not null check (held >= share),
    held_until      timestamptz not null,
    expires_at      timestamptz not null,
    primary key (connection_id, worker)
);
comment on table sender_lease is 'The part of an integration''s rate that one worker may use now. A share given up is held for another second, until no sliding second contains messages sent under it.';

create table daily_use (
    portfolio       text not null,
    hour            timestamptz not null,
    people          bigint not null,
    primary key (portfolio, hour)
);
comment on table daily_use is 'How many messages a Meta portfolio''s senders claimed in an hour, over all campaigns: what its limit per 24 hours is kept by.';

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
    sending_since   timestamptz,
    sent_at         timestamptz,
    settled_at      timestamptz,
    expires_at      timestamptz,
    open_wave       smallint not null default 1 check (open_wave in (0, 1)),
    updated_at      timestamptz not null default now(),
    unique (entity, run_key)
);
comment on column campaign.sending_since is 'When sending began, or was last resumed: brakes look at nothing older, since a person has.';
comment on column campaign.open_wave is 'Rows up to this wave may be claimed: 0 while the probe is being judged, 1 for everybody.';
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
    wave            smallint not null default 1,
    not_before      timestamptz not null default 'epoch',
    claimed_by      text,
    claimed_at      timestamptz,
    accepted_at     timestamptz,
    delivered_at    timestamptz,
    read_at         timestamptz,
    failed_at       timestamptz,
    replied_at      timestamptz,
    clicked_at      timestamptz,
    opted_out_at    timestamptz,
    logged_at       timestamptz,
    error_code      integer,
    error_source    text,
    price           numeric,
    currency        text,
    updated_at      timestamptz not null default now(),
    primary key (month, campaign_id, subscription_id),
    check (state <> 'excluded' or reason is not null)
) partition by range (month);
create index campaign_message_planned on campaign_message (campaign_id, wave, not_before) where state = 'planned';
create index campaign_message_open on campaign_message (campaign_id, subscription_id) where state in ('sending', 'uncertain');
-- The rows that a report opens and that are few among many.
create index campaign_message_refused on campaign_message (campaign_id, subscription_id) where state in ('rejected', 'failed');
create index campaign_message_answered on campaign_message (campaign_id, subscription_id)
    where replied_at is not null or clicked_at is not null or opted_out_at is not null;
create index campaign_message_person on campaign_message (subscription_id, accepted_at);
comment on table campaign_message is 'The ledger: one person in one campaign.';
comment on column campaign_message.wave is '0 is the probe that goes first, 1 is everybody else.';
comment on column campaign_message.not_before is 'Not to be claimed before: the next sending window of this person, or the date of a retry.';
comment on column campaign_message.logged_at is 'When CM.com''s message log first showed the message to us.';
comment on column campaign_message.error_source is 'Who numbered error_code: gateway (the answer to the request) or status (a status report or the log).';

create function state_rank(state text) returns integer language sql immutable strict parallel safe
return array_position(array['planned', 'expired', 'sending', 'uncertain', 'accepted', 'rejected', 'failed', 'delivered', 'read'], state);
comment on function state_rank is 'What a status may do: a state only moves to a greater rank. null for excluded, which never moves.';

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
create index message_event_recent on message_event (campaign_id, recorded_at);
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
    webhook_key     text,
    log_key         text,
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
    unique (entity, webhook_key),
    unique (entity, log_key),
    check (webhook_key is not null or log_key is not null)
);
create index inbound_message_subscription on inbound_message (subscription_id, occurred_at);
create index inbound_message_campaign on inbound_message (campaign_id, occurred_at);
comment on table inbound_message is 'One reply, its raw JSON, and the message it answers. webhook_key and log_key are digests of what either door showed: the same reply through both is one row.';

create table reply_outbox (
    inbound_id      bigint not null references inbound_message (id),
    forward         text not null,
    entity          text not null,
    state           text not null default 'due' check (state in ('due', 'done', 'given_up')),
    attempts        smallint not null default 0,
    next_attempt_at timestamptz not null default now(),
    created_at      timestamptz not null default now(),
    done_at         timestamptz,
    problem         text,
    primary key (inbound_id, forward)
);
create index reply_outbox_due on reply_outbox (entity, next_attempt_at) where state = 'due';
comment on table reply_outbox is 'A reply on its way to an e-mail address or URL of the entity: at least once.';

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

create table pushed_record (
    entity          text not null,
    source          text not null,
    digest          bytea not null,
    record          jsonb not null,
    received_at     timestamptz not null,
    primary key (entity, source, digest)
);
create index pushed_record_received on pushed_record (entity, source, received_at);
comment on table pushed_record is 'An opt-in or withdrawal that a source sent by itself, until a pull has taken it into staging. The same record again is the same row, received anew.';

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
    waiting         bigint not null,
    sending         bigint not null,
    uncertain       bigint not null,
    expired         bigint not null,
    rejected        bigint not null,
    accepted        bigint not null,
    awaiting        bigint not null,
    failed          bigint not null,
    delivered       bigint not null,
    read            bigint not null,
    clicked         bigint not null,
    replied         bigint not null,
    opted_out       bigint not null,
    balance         bigint not null,
    cost            numeric,
    cost_currency   text,
    cost_estimated  boolean not null,
    cost_unpriced   bigint not null,
    last_accepted_at timestamptz,
    refreshed_at    timestamptz not null
);
comment on table report_campaign is 'The funnel of a campaign, computed from ledger rows only. balance is target - (excluded + final + in flight) and is always 0.';
comment on column report_campaign.target is 'People matched by the audience rule, frozen when the campaign was planned (campaign.target).';
comment on column report_campaign.planned is 'target - excluded.';
comment on column report_campaign.waiting is 'Planned people whose message has not been sent yet.';
comment on column report_campaign.uncertain is 'The request left and no answer is known; never sent again by itself.';
comment on column report_campaign.accepted is 'CM.com accepted the message, whatever came after.';
comment on column report_campaign.awaiting is 'accepted - delivered - failed.';
comment on column report_campaign.delivered is 'Status delivered, or read without a delivered before it.';
comment on column report_campaign.cost is 'Billed prices of the message log; where there is none yet, delivered messages x the rate of their day and country. Null when no price is known or currencies are mixed.';
comment on column report_campaign.cost_estimated is 'True while a part of cost comes from the rate table.';
comment on column report_campaign.cost_unpriced is 'Delivered messages that have neither a price nor a rate: cost is without them.';

create table report_campaign_reason (
    campaign_id     bigint not null references campaign (id),
    bucket          text not null check (bucket in ('excluded', 'rejected', 'failed', 'uncertain', 'expired')),
    reason          text not null,
    error_source    text,
    error_code      integer,
    messages        bigint not null,
    unique nulls not distinct (campaign_id, bucket, reason, error_source, error_code)
);
comment on table report_campaign_reason is 'Why people of a campaign were not reached. reason is '''' where only a code is known.';
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
comment on column report_campaign_country.country is 'ISO 3166 of the number; ZZ where it is not known (CLDR''s code).';
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
comment on table report_campaign_hour is 'What happened in each hour (UTC).';
create table report_campaign_variant (
    campaign_id     bigint not null references campaign (id),
    variant         text not null,
    attempt         smallint not null,
    target          bigint not null,
    accepted        bigint not null,
    delivered       bigint not null,
    read            bigint not null,
    clicked         bigint not null,
    replied         bigint not null,
    opted_out       bigint not null,
    primary key (campaign_id, variant, attempt)
);
comment on table report_campaign_variant is 'People by variant ('''' without one) and by the attempt that is their last.';
create table report_campaign_time (
    campaign_id     bigint not null references campaign (id),
    measure         text not null check (measure in ('deliver', 'read', 'reply')),
    messages        bigint not null,
    p50             double precision not null,
    p90             double precision not null,
    p95             double precision not null,
    p99             double precision not null,
    within_5s       bigint not null,
    within_60s      bigint not null,
    primary key (campaign_id, measure)
);
comment on table report_campaign_time is 'Seconds from accepted to delivered, delivered to read, delivered to the first reply; negative clock differences count as 0.';

create table report_subscription (
    entity          text not null,
    status          text not null,
    people          bigint not null,
    consent_event_id bigint not null,
    refreshed_at    timestamptz not null,
    primary key (entity, status)
);
comment on table report_subscription is 'People of an entity by subscription status, counted when consent_event_id was the ledger''s newest event.';

-- Which campaigns have changed since their roll-up. The mark commits with the change, so a refresh misses nothing and
-- does not search; it is appended, never updated, so that concurrent senders of one campaign do not wait for each other.
create table report_change (
    id              bigint generated always as identity primary key,
    campaign_id     bigint not null
);
create index report_change_campaign on report_change (campaign_id);
create function report_note_messages() returns trigger language plpgsql as $$
begin
    insert into report_change (campaign_id) select distinct campaign_id from changed;
    return null;
end $$;
create function report_note_campaign() returns trigger language plpgsql as $$
begin
    insert into report_change (campaign_id) values (new.id);
    return null;
end $$;
-- Planning inserts ledger rows by the million and sets campaign.state: no trigger on insert. Statements on one partition
-- by its name would pass by: write through campaign_message.
create trigger campaign_message_changed after update on campaign_message
    referencing new table as changed for each statement execute function report_note_messages();
create trigger campaign_changed after insert or update of state, target on campaign
    for each row execute function report_note_campaign();

create function spreadsheet_text(value text) returns text language sql immutable parallel safe
return case when value ~ '^[=+@\t\r\n-]' then '''' || value else value end;
comment on function spreadsheet_text is 'A cell that a spreadsheet would run as a formula, led by an apostrophe (OWASP: CSV injection).';
create function utc_text(value timestamptz) returns text language sql immutable parallel safe
return to_char(value at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
comment on function utc_text is 'A time as ISO 8601 in UTC, whatever the session''s zone.';

create view v_campaign_funnel as
select c.entity, c.id as campaign_id, c.name, c.state, c.created_at, c.started_at, c.sent_at, c.settled_at,
       r.target, r.excluded, r.planned, r.waiting, r.sending, r.uncertain, r.expired, r.rejected, r.accepted,
       r.awaiting, r.failed, r.delivered, r.read, r.clicked, r.replied, r.opted_out, r.balance,
       round(r.delivered::numeric / nullif(r.accepted, 0), 6) as delivery_rate,
       round(r.read::numeric / nullif(r.delivered, 0), 6) as read_rate,
       round(r.clicked::numeric / nullif(r.delivered, 0), 6) as click_rate,
       round(r.replied::numeric / nullif(r.delivered, 0), 6) as reply_rate,
       round(r.opted_out::numeric / nullif(r.delivered, 0), 6) as opt_out_rate,
       r.cost, r.cost_currency, r.cost_estimated, r.refreshed_at
from campaign c join report_campaign r on r.campaign_id = c.id;
comment on view v_campaign_funnel is 'BI: one row per campaign, every figure and rate as the report pages show it.';

create view v_message as
select c.entity, m.campaign_id, c.name as campaign, m.subscription_id, m.reference, m.state, m.reason,
       m.error_source, m.error_code, m.attempt, m.variant, m.language, m.country, m.consent_event_id,
       m.accepted_at, m.delivered_at, m.read_at, m.failed_at, m.replied_at, m.clicked_at, m.opted_out_at,
       m.price, m.currency, m.month
from campaign_message m join campaign c on c.id = m.campaign_id and c.month = m.month;
comment on view v_message is 'BI: one row per person and campaign, without phone number or variables. Filter on month: it is the partition.';

create view v_message_status as
select c.entity, e.campaign_id, e.subscription_id, e.attempt, e.status, e.error_code, e.occurred_at, e.recorded_at,
       e.source, e.month
from message_event e join campaign c on c.id = e.campaign_id and c.month = e.month;
comment on view v_message_status is 'BI: the change log, one row per status received.';

create view v_sync_run as
select r.id as sync_run_id, r.entity, r.source, r.state, r.started_at, r.finished_at, r.pulled, r.staged, r.rejected,
       r.outcome, r.problem
from sync_run r;
comment on view v_sync_run is 'BI: one row per pull of a source.';
