-- name: approve(now, approved_by, campaign_id, plan_hash)^
-- planned -> approved, only for the plan that was looked at. Repeating it changes nothing.
update campaign
set state = 'approved', approved_at = :now, approved_by = :approved_by, updated_at = :now
where id = :campaign_id and plan_hash = :plan_hash and state = 'planned'
returning id;

-- name: campaign(campaign_id)^
-- One campaign. Read only.
select id, entity, name, connection_id, month, state, state_reason, plan_hash, parameters, parameters_hash, target,
       approved_by, approved_at, sending_since, expires_at, open_wave
from campaign where id = :campaign_id;

-- name: act_as(actor, why)
-- Who makes the changes of this transaction and, where the new state has no reason of its own, why: for the history.
select set_config('whatsapp.actor', :actor, true), set_config('whatsapp.why', :why, true);

-- name: history(campaign_id)
-- What happened to a campaign, the newest first. Read only.
select at, state, reason, by from campaign_history where campaign_id = :campaign_id order by id desc limit 50;

-- name: note(campaign_id, state, reason, actor)!
-- One line of the history for what is no change of state.
insert into campaign_history (campaign_id, state, reason, by) values (:campaign_id, :state, :reason, :actor);

-- name: paused_since(campaign_id)$
-- When a campaign was paused; null unless it is. Read only.
select updated_at from campaign where id = :campaign_id and state = 'paused';

-- name: start(now, campaign_id)!
-- approved -> sending. Repeating it (a retried task, the second worker) changes nothing.
update campaign set state = 'sending', started_at = coalesce(started_at, :now), sending_since = :now, updated_at = :now
where id = :campaign_id and state = 'approved';

-- name: change_state(state, reason, now, campaign_id, from_states)^
-- Any of `from_states` -> `state` with a reason. Every worker sees it at its next claim.
update campaign set state = :state, state_reason = :reason, updated_at = :now,
       sending_since = case when :state = 'sending' then :now else sending_since end,
       -- whoever resumes after a failed probe has looked at it
       open_wave = case when :state = 'sending' and state_reason like 'The probe failed%%' then 1 else open_wave end,
       sent_at = case when :state in ('sent', 'settled') then coalesce(sent_at, :now) else sent_at end,
       settled_at = case when :state = 'settled' then :now else settled_at end
where id = :campaign_id and state = any (:from_states::text[])
returning id;

-- name: reopen(campaign_id, now, until)^
-- sent or paused -> sending, for messages that a person releases.
update campaign set state = 'sending', state_reason = null, sending_since = :now, updated_at = :now,
       expires_at = greatest(expires_at, :until)
where id = :campaign_id and state in ('sending', 'paused', 'sent')
returning id;
