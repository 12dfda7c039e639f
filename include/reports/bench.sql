-- name: ensure_month(month)
select ensure_month(:month)::text;

-- name: fill_people(entity, people)!
-- People of eight countries; invented numbers.
insert into subscription (entity, phone, match_key, status, country, language)
select :entity, '+3247' || lpad(n::text, 8, '0'), '3247' || lpad(n::text, 8, '0'), 'subscribed',
       (array['BE', 'NL', 'FR', 'DE', 'LU', 'GB', 'ES', 'IT'])[1 + n %% 8], 'nl'
from generate_series(1, :people) as n;

-- name: add_campaign(entity, name, month, target)$
insert into campaign (entity, name, run_key, connection_id, month, parameters, parameters_hash, state, target)
values (:entity, :name, :name, 'cm_com_bench', :month, '{"category": "marketing"}', '', 'sent', :target)
returning id;

-- name: fill_campaign(month, campaign_id, entity, sent_at)!
-- Of a hundred: 8 excluded, 2 failed or rejected, hardly any uncertain, 90 delivered of whom 60 read, over three days.
insert into campaign_message (month, campaign_id, subscription_id, state, reason, country, language, accepted_at,
                              delivered_at, read_at, failed_at, replied_at, opted_out_at, error_source, error_code)
select :month, :campaign_id, s.id, o.state,
       case when o.state = 'excluded' then (array['opted_out', 'no_consent', 'frequency_cap'])[1 + s.id %% 3] end,
       s.country, 'nl',
       case when o.state in ('accepted', 'failed', 'delivered', 'read') then t.sent end,
       case when o.state in ('delivered', 'read') then t.sent + make_interval(secs => 1 + d.draw * 60) end,
       case when o.state = 'read' then t.sent + make_interval(secs => 60 + d.draw * 200000) end,
       case when o.state = 'failed' then t.sent + interval '3 seconds' end,
       case when o.state = 'read' and s.id %% 29 = 0 then t.sent + make_interval(secs => 60 + d.draw * 220000) end,
       case when o.state = 'read' and s.id %% 311 = 0 then t.sent + make_interval(secs => 60 + d.draw * 220000) end,
       case o.state when 'failed' then 'status' when 'rejected' then 'gateway' end,
       case o.state when 'failed' then (array[59, 131049, 131050])[1 + s.id %% 3] when 'rejected' then 303 end
from subscription s
cross join lateral (select ((s.id * 7919 + :campaign_id * 104729) %% 10007) / 10007.0 as draw) d
cross join lateral (select :sent_at::timestamptz + make_interval(secs => s.id * 0.01) as sent) t
cross join lateral (select case when d.draw < 0.08 then 'excluded' when d.draw < 0.085 then 'rejected'
                                when d.draw < 0.0852 then 'uncertain' when d.draw < 0.1 then 'failed'
                                when d.draw < 0.11 then 'accepted' when d.draw < 0.4 then 'delivered'
                                else 'read' end as state) o
where s.entity = :entity;
