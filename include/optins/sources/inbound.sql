-- name: starts(entity, since)
-- START messages with the number they came from, which only the message as it arrived tells. Keys come in any case.
-- Read only.
select m.id::text as id,
       '+' || regexp_replace(regexp_replace(coalesce(n.value, f.value) #>> '{}', '[^0-9]', '', 'g'), '^00', '') as number,
       'yes' as said, m.occurred_at, m.received_at
from inbound_message m
cross join lateral (select each.value from jsonb_each(m.raw) each where lower(each.key) = 'from') f
left join lateral (
    select each.value from jsonb_each(case when jsonb_typeof(f.value) = 'object' then f.value else '{}' end) each
    where lower(each.key) = 'number'
) n on true
where m.entity = :entity and m.kind = 'start' and jsonb_typeof(m.raw) = 'object'
  and m.received_at >= coalesce(:since::timestamptz, '-infinity')
order by m.received_at;
