-- name: stopped(subscription_id, occurred_at)$
-- Whether the person has switched off marketing in WhatsApp, before a time, and not on again. Read only.
select exists (
    select from suppression x join subscription s on s.entity = x.entity and s.person_hash = x.person_hash
    where s.id = :subscription_id and x.reason = 'platform_stop'
) and exists (
    select from consent_event e
    where e.subscription_id = :subscription_id and e.method = 'platform_stop' and e.occurred_at < :occurred_at
) and not exists (
    select from consent_event e
    where e.subscription_id = :subscription_id and e.method = 'platform_stop' and e.occurred_at >= :occurred_at
);

-- name: own_word(subscription_id)^
-- The last word of the person or their sources, as if WhatsApp's own switch were not there: the rules of `decide` without
-- its events. Read only.
select e.id, e.action, e.collection_point, e.wording_id, e.wording_language
from consent_event e
left join source_record k on k.subscription_id = e.subscription_id and k.source = e.source and k.record_id = e.source_record_id
where e.subscription_id = :subscription_id and not e.needs_confirmation
  and coalesce(e.method, '') not in ('platform_stop', 'platform_resume')
  and not (e.action in ('grant', 'confirm') and e.sync_run_id is not null and e.source_record_id <> ''
           and k.subscription_id is null)
order by e.action = 'erase' desc, e.occurred_at desc,
         array_position(array['object', 'withdraw', 'expire', 'grant', 'confirm'], e.action), e.source, e.source_record_id
limit 1;

-- name: lower_flag(subscription_id)!
-- The platform's stop no longer holds; what stays is the person's own no, which a newer yes of theirs lifts. Repeatable.
update suppression x set reason = 'opted_out'
from subscription s
where s.id = :subscription_id and x.entity = s.entity and x.person_hash = s.person_hash and x.reason = 'platform_stop';
