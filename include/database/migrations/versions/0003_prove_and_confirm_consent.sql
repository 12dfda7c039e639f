-- Opt-ins that their holder confirms, proof that cannot be left out, a STOP that is older than the person, and who
-- released what the guard held.

alter table sync_run add column double_opt_in boolean not null default false;
alter table sync_run add column released_by text;
alter table sync_run add column asked_until timestamptz;
comment on column sync_run.double_opt_in is 'The source''s yes counts once the holder of the number has confirmed it.';
comment on column sync_run.released_by is 'Who let the run through although the guard held it.';
comment on column sync_run.asked_until is 'Until when somebody is asked whether this held run may go through.';

alter table consent_event add column needs_confirmation boolean not null default false;
alter table consent_event add constraint consent_event_proof check (
    action not in ('grant', 'confirm')
    or source_record_id <> '' and collection_point is not null and method is not null
       and wording_id is not null and wording_language is not null
);
create index consent_event_unconfirmed on consent_event (subscription_id) where needs_confirmation;
create index consent_event_expiry on consent_event (subscription_id) where action = 'expire';
comment on column consent_event.needs_confirmation is 'A yes that makes nobody messageable by itself: its holder has to confirm it (double opt-in).';
comment on constraint consent_event_proof on consent_event is 'No yes without who, where, how and what they were told (C4), whoever writes it.';
create trigger consent_event_not_emptied before truncate on consent_event
    for each statement execute function refuse_change();
create trigger consent_wording_not_emptied before truncate on consent_wording
    for each statement execute function refuse_change();

alter table consent_wording add column privacy_notice text;
alter table consent_wording add column evidence text;
alter table consent_wording add column approved_by text;
comment on column consent_wording.privacy_notice is 'Version of the privacy notice that was linked beside it.';
comment on column consent_wording.evidence is 'Where a picture of the form is kept, or its hash.';

alter table suppression add column said_at timestamptz;
update suppression set said_at = created_at;
alter table suppression alter column said_at set default now(), alter column said_at set not null;
comment on column suppression.said_at is 'When the person said so: only a yes that is newer lifts it.';

create view v_consent as
select s.entity, e.id as consent_event_id, e.subscription_id, 'whatsapp' as channel, e.purpose, e.action, e.occurred_at,
       e.recorded_at, e.source, e.source_record_id, e.collection_point, e.method, e.needs_confirmation, e.wording_id,
       e.wording_language, w.wording, w.valid_from, w.privacy_notice, w.evidence as wording_evidence,
       w.approved_by as wording_approved_by, e.evidence_ref, e.actor, e.sync_run_id,
       e.id = s.consent_event_id as is_present_state
from consent_event e
join subscription s on s.id = e.subscription_id
left join consent_wording w
       on w.entity = s.entity and w.wording_id = e.wording_id and w.language = e.wording_language;
comment on view v_consent is 'BI and audits: every consent event with its whole proof and what the person was told, without phone number.';
