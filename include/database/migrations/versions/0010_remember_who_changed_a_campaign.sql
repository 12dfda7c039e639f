-- Every change of a campaign's state with its reason and, where a person made it, who: pauses by brakes included.

create table campaign_history (
    id              bigint generated always as identity primary key,
    campaign_id     bigint not null references campaign (id),
    at              timestamptz not null default clock_timestamp(),
    state           text not null,
    reason          text,
    by              text
);
create index campaign_history_campaign on campaign_history (campaign_id, id);
comment on table campaign_history is 'What happened to a campaign as a whole. by is empty where the system acted by itself.';

create function campaign_note_history() returns trigger language plpgsql as $$
begin
    insert into campaign_history (campaign_id, state, reason, by)
    values (new.id, new.state, coalesce(new.state_reason, nullif(current_setting('whatsapp.why', true), '')),
            nullif(current_setting('whatsapp.actor', true), ''));
    return null;
end $$;
create trigger campaign_remembers after update of state on campaign
    for each row when (old.state is distinct from new.state) execute function campaign_note_history();
