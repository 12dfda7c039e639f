-- One automatic answer to who says STOP, START or asks for help.
create table answer (
    id              bigint generated always as identity primary key,
    reference       text not null generated always as ('answer' || id::text) stored,
    entity          text not null,
    kind            text not null check (kind in ('stop', 'start', 'help')),
    inbound_id      bigint not null unique references inbound_message (id),
    subscription_id bigint not null references subscription (id),
    consent_event_id bigint unique references consent_event (id),
    state           text not null default 'planned' check (state in ('planned', 'sending', 'uncertain', 'accepted', 'rejected',
                    'failed', 'delivered', 'read', 'expired')),
    said_at         timestamptz not null,
    not_before      timestamptz not null default now(),
    claimed_at      timestamptz,
    error_code      integer,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    check (kind = 'help' or consent_event_id is not null)
);
create index answer_due on answer (entity, not_before) where state in ('planned', 'sending');
create index answer_person on answer (subscription_id, kind, said_at);
comment on table answer is 'An automatic answer to a STOP, START or call for help: one for each consent event, claimed before it is posted, never repeated when its fate is unknown.';
comment on column answer.reference is 'What CM.com echoes. No reference of the ledger begins with letters.';
comment on column answer.said_at is 'When the person wrote: free text may be sent for 24 hours from then.';
