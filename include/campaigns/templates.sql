-- name: record_template(entity, name, language, namespace, category, status, quality, components, variables, now)!
-- The state of one template in one language, as told now.
insert into template (entity, name, language, namespace, category, status, quality, components, variables, checked_at)
values (:entity, :name, :language, :namespace, :category, :status, :quality, :components, :variables, :now)
on conflict (entity, name, language) do update
set namespace = excluded.namespace, category = excluded.category, status = excluded.status, quality = excluded.quality,
    components = excluded.components, variables = excluded.variables, checked_at = excluded.checked_at;
