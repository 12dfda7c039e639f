-- Media of replies, copied only where an entity asks for it.
create table kept_media (
    inbound_id      bigint primary key references inbound_message (id),
    entity          text not null,
    state           text not null default 'due' check (state in ('due', 'done', 'given_up', 'expired', 'deleted')),
    attempts        smallint not null default 0,
    next_attempt_at timestamptz not null default now(),
    created_at      timestamptz not null default now(),
    done_at         timestamptz,
    name            text,
    bytes           bigint,
    problem         text,
    check (state <> 'done' or (name is not null and done_at is not null))
);
create index kept_media_work on kept_media (entity, next_attempt_at) where state in ('due', 'done', 'expired');
comment on table kept_media is 'A picture, recording or document of a reply on its way into the entity''s own folder: at least once, and deleted from there when its time is over.';
comment on column kept_media.state is 'expired: to be deleted from the folder with the next run, whatever its age (the person was erased).';
comment on column kept_media.name is 'Of the file in the folder; it holds the reply''s number and no person''s.';
