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
