-- When people last did something themselves, and ledger rows that are kept no longer.

alter table subscription add column last_action_at timestamptz;
comment on column subscription.last_action_at is 'The newest click of the person in campaigns whose rows are gone; see last_own_action.';

create function last_own_action(person subscription) returns timestamptz language sql stable as $$
    select greatest(
        person.last_inbound_at, person.last_action_at,
        (select max(e.occurred_at) from consent_event e
         where e.subscription_id = person.id and e.action in ('grant', 'confirm')),
        (select max(m.clicked_at) from campaign_message m where m.subscription_id = person.id))
$$;
comment on function last_own_action is 'When a person last did something themselves: said yes, wrote, clicked. Reading is no action (C12).';

alter table campaign add column forgotten_at timestamptz;
comment on column campaign.forgotten_at is 'When its rows were deleted after the entity''s period; its figures stand in report_campaign.';
