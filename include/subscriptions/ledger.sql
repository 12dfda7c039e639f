-- name: lock_person(subscription_id, entity)$
-- Hold one person's row, so that what we write is decided after any other change of theirs. Returns its id.
select id from subscription where id = :subscription_id and entity = :entity for update;

-- name: add_event(subscription_id, action, occurred_at, source, source_record_id, collection_point, method, wording_id, wording_language, actor)$
-- One event; nothing comes back for one that is known. Safe to repeat.
insert into consent_event (subscription_id, action, occurred_at, source, source_record_id, collection_point, method,
                           wording_id, wording_language, actor)
values (:subscription_id, :action, :occurred_at, :source, :source_record_id, :collection_point, :method, :wording_id,
        :wording_language, :actor)
on conflict do nothing
returning id;

-- name: add_confirmation(subscription_id, occurred_at, source, source_record_id, method, states)$
-- One confirmation, with the wording of the yes it confirms; nothing comes back where there is none, or for an event that
-- is known. Safe to repeat.
insert into consent_event (subscription_id, action, occurred_at, source, source_record_id, collection_point, method,
                           wording_id, wording_language, evidence_ref)
select s.id, 'confirm', :occurred_at, :source, :source_record_id, 'whatsapp confirmation', :method, g.wording_id,
       g.wording_language, 'consent_event:' || g.id
from subscription s
cross join lateral (
    select * from consent_event e
    where e.subscription_id = s.id and e.needs_confirmation
    order by e.occurred_at desc, e.id desc
    limit 1
) g
where s.id = :subscription_id and (:states::text[] is null or s.status = any (:states::text[]))
on conflict do nothing
returning id;
