-- name: take_turns(campaign_id)
-- Two campaigns that claim one person in the same moment would each count her messages without the other's, and together go
-- past the frequency cap. So while an entity has several marketing campaigns under way, their claims go one after the other,
-- each until the end of its transaction. The claims of one campaign never meet the same person: while it is alone they share.
-- A statement before the claim, not a part of it, so that the claim sees what was committed while it waited.
select case when exists (select from campaign c
                         where c.entity = own.entity and c.id <> own.id
                           -- the last claim of one that was just cancelled may not be committed yet
                           and (c.state in ('sending', 'paused')
                                or c.state = 'cancelled' and c.updated_at > clock_timestamp() - interval '1 minute')
                           and c.parameters ->> 'category' = 'marketing')
            then pg_advisory_xact_lock(own.turns) else pg_advisory_xact_lock_shared(own.turns) end
from (select id, entity, hashtextextended('marketing claims:' || entity, 0) as turns
      from campaign where id = :campaign_id) own;

-- name: claim(month, campaign_id, messages, lane, category, recent_month, max_per_week, window_start, window_end, quiet_start, quiet_end, entity_zone, expires_at, templates, budget, wanted)
-- planned -> sending, and what is needed to send it; or -> excluded, when the person may no longer be messaged; or planned
-- for the next open hour of the person's own day; or -> expired, when that would be too late. One transaction by itself;
-- workers skip each other's rows; consent, suppression, cap, hours, budget and the template's state are read in this same
-- statement. Rows with the reason over_budget stay planned: `refuse_over_budget` decides.
with stopped as (
    select array(select v.key || '/' || t.language
                 from jsonb_each_text(:templates::jsonb) v
                 join campaign c on c.id = :campaign_id
                 join template t on t.entity = c.entity and t.name = v.value and t.status <> 'APPROVED') as texts
), due as (
    select m.month, m.campaign_id, m.subscription_id, m.country
    from campaign_message m
    where m.month = :month and m.campaign_id = :campaign_id and m.state = 'planned'
      and m.not_before <= statement_timestamp()
      -- null, and so nobody, unless the campaign is being sent: a pause stops every worker at its next claim
      and m.wave <= (select c.open_wave from campaign c where c.id = :campaign_id and c.state = 'sending'
                     and c.expires_at > statement_timestamp())
      and coalesce(m.variant, 'base') || '/' || m.language <> all ((select texts from stopped)::text[])
    order by m.wave, m.not_before
    limit :messages
    for update skip locked
), looked_up as materialized (
    select due.*, s.phone, s.consent_event_id, s.status, s.entity, s.person_hash,
           coalesce(s.time_zone, :entity_zone) as zone,
           is_open((statement_timestamp() at time zone coalesce(s.time_zone, :entity_zone))::time, :window_start::time,
                   :window_end::time, :quiet_start::time, :quiet_end::time) as is_open
    from due join subscription s on s.id = due.subscription_id
), opening as (
    select zone, coalesce(next_opening(statement_timestamp(), zone, :window_start::time, :window_end::time,
                                       :quiet_start::time, :quiet_end::time), 'infinity') as opens
    from (select distinct zone from looked_up where not is_open) closed
), marketing as materialized (
    -- the entity's other campaigns of the last days, looked up once: their parameters are long
    select c.id, c.month
    from campaign c
    where :category = 'marketing' and c.id <> :campaign_id and c.month >= :recent_month
      and c.entity = (select own.entity from campaign own where own.id = :campaign_id)
      -- nothing is claimed long after a campaign has expired
      and c.expires_at > statement_timestamp() - interval '8 days' and c.parameters ->> 'category' = 'marketing'
), judged as materialized (
    -- materialized, or every mention of the reason below is another look at the suppressions and past messages
    select l.*, o.opens,
           case
               when l.status = 'unsubscribed' then 'opted_out'
               when l.status <> :wanted or l.phone is null then 'no_consent'
               when exists (select from suppression x where x.entity = l.entity and x.person_hash = l.person_hash)
                   then 'suppressed'
               when :category = 'marketing' and :max_per_week <= (
                   select count(*)
                   from marketing c join campaign_message o on o.campaign_id = c.id and o.month = c.month
                   where o.subscription_id = l.subscription_id and o.month >= :recent_month
                     and o.claimed_at > statement_timestamp() - interval '7 days'
                     and o.state in ('sending', 'uncertain', 'accepted', 'delivered', 'read')) then 'frequency_cap'
               when not l.is_open then 'outside_window'
           end as reason
    from looked_up l left join opening o on o.zone = l.zone
), allowance as (
    -- Only a campaign with a budget locks its row, so that lanes take from what is left one after the other.
    select c.spent from campaign c where c.id = :campaign_id and :budget::numeric is not null for no key update
), priced as (
    select j.month, j.campaign_id, j.subscription_id, j.consent_event_id, j.phone, j.opens, p.price,
           coalesce(j.reason, case when allowance.spent + sum(case when j.reason is null then coalesce(p.price, :budget) end)
                                        over (order by j.subscription_id) > :budget::numeric
                                   then 'over_budget' end) as reason
    from judged j
    left join allowance on true
    left join lateral (
        select r.price from rate r
        where r.country in (j.country, '**') and r.category = :category and r.effective_from <= statement_timestamp()::date
          and :budget::numeric is not null
        order by r.country = '**', r.effective_from desc limit 1
    ) p on true
), taken as (
    update campaign c set spent = c.spent + t.money
    from (select sum(price) as money from priced where reason is null) t
    where c.id = :campaign_id and t.money > 0
)
update campaign_message m
set state = case when j.reason is null then 'sending'
                 when j.reason = 'over_budget' then 'planned'
                 when j.reason <> 'outside_window' then 'excluded'
                 when j.opens >= :expires_at then 'expired'
                 else 'planned' end,
    reason = case when j.reason = 'over_budget' or j.reason = 'outside_window' and j.opens < :expires_at then null
                  else j.reason end,
    not_before = case when j.reason = 'outside_window' and j.opens < :expires_at then j.opens else m.not_before end,
    consent_event_id = j.consent_event_id,
    claimed_by = case when j.reason is null then :lane end,
    claimed_at = case when j.reason is null then statement_timestamp() end,
    reserved = case when j.reason is null then j.price end,
    updated_at = statement_timestamp()
from priced j
where m.month = j.month and m.campaign_id = j.campaign_id and m.subscription_id = j.subscription_id
returning m.subscription_id, m.attempt, m.reference, m.language, m.variant, m.variables, j.reason, j.phone;

-- name: lock_budget(campaign_id)
-- Nobody takes from the campaign's budget until the end of the transaction.
select from campaign where id = :campaign_id for no key update;

-- name: refuse_over_budget(month, campaign_id, budget, category)!
-- Count anew what the budget is used by (what failed or was refused costs nothing), and planned -> excluded for whoever costs
-- more than is left. Nobody while messages are on their way: what is refused of them makes room for others. Call it with the
-- budget locked.
with used as (
    select coalesce(sum(reserved), 0) as money from campaign_message
    where month = :month and campaign_id = :campaign_id and state in ('sending', 'uncertain', 'accepted', 'delivered', 'read')
), counted as (
    update campaign set spent = used.money from used where id = :campaign_id
), price as (
    select c.country, (select r.price from rate r
                       where r.country in (c.country, '**') and r.category = :category
                         and r.effective_from <= statement_timestamp()::date
                       order by r.country = '**', r.effective_from desc limit 1) as price
    from (select distinct country from campaign_message
          where month = :month and campaign_id = :campaign_id and state = 'planned') c
)
update campaign_message m
set state = 'excluded', reason = 'over_budget', updated_at = clock_timestamp()
from price, used
where m.month = :month and m.campaign_id = :campaign_id and m.state = 'planned'
  and m.country is not distinct from price.country and used.money + coalesce(price.price, 'infinity') > :budget::numeric
  -- older ones were left by a worker that is gone: they count as used
  and not exists (select from campaign_message o where o.month = :month and o.campaign_id = :campaign_id
                  and o.state = 'sending' and o.claimed_at > clock_timestamp() - interval '1 minute');

-- name: record_outcomes(now, people, attempts, states, codes, month, campaign_id)!
-- What the gateway said of claimed rows: accepted, rejected, uncertain, or planned again (certainly not sent).
-- A status that overtook the answer stays; a row that a successor called uncertain is never planned again.
update campaign_message m
set state = case when m.state in ('sending', 'uncertain') then t.state else m.state end,
    accepted_at = case when t.state = 'accepted' then coalesce(m.accepted_at, :now) else m.accepted_at end,
    failed_at = case when t.state = 'rejected' then :now else m.failed_at end,
    error_code = case when t.state = 'rejected' then t.code else m.error_code end,
    error_source = case when t.state = 'rejected' then 'gateway' else m.error_source end,
    claimed_by = case when t.state = 'planned' then null else m.claimed_by end,
    claimed_at = case when t.state = 'planned' then null else m.claimed_at end,
    updated_at = clock_timestamp()
from unnest(:people::bigint[], :attempts::smallint[], :states::text[], :codes::integer[])
     as t (subscription_id, attempt, state, code)
where m.month = :month and m.campaign_id = :campaign_id and m.subscription_id = t.subscription_id
  -- said twice so that the key's index is asked for these rows, whatever the statistics of a new campaign say
  and m.subscription_id = any (:people::bigint[])
  and m.attempt = t.attempt
  and (m.state = 'sending'
       or (m.state = 'uncertain' and t.state in ('accepted', 'rejected'))
       or (t.state = 'accepted' and m.accepted_at is null and m.state in ('delivered', 'read', 'failed')));

-- name: unclaim(month, campaign_id, lane)!
-- sending -> planned for rows of one lane of this very process whose claim was committed without our knowing: they were
-- never posted, since a lane posts only what a claim returned to it.
update campaign_message
set state = 'planned', claimed_by = null, claimed_at = null, updated_at = clock_timestamp()
where month = :month and campaign_id = :campaign_id and state = 'sending' and claimed_by = :lane;

-- name: call_uncertain(month, campaign_id, worker_pattern)!
-- sending -> uncertain for what earlier processes of this worker left behind: whether it was posted is not known.
update campaign_message
set state = 'uncertain', updated_at = clock_timestamp()
where month = :month and campaign_id = :campaign_id and state = 'sending' and claimed_by like :worker_pattern;

-- name: call_stale_uncertain(month, campaign_id, before)!
-- sending -> uncertain for whatever was claimed before a time, by whomever.
update campaign_message
set state = 'uncertain', updated_at = clock_timestamp()
where month = :month and campaign_id = :campaign_id and state = 'sending' and claimed_at < :before;

-- name: close_planned(reason, month, campaign_id)!
-- planned -> expired with a reason, when a campaign ends before they were sent.
update campaign_message
set state = 'expired', reason = :reason, updated_at = clock_timestamp()
where month = :month and campaign_id = :campaign_id and state = 'planned';

-- name: outlook(campaign_id)^
-- What a lane that found nothing to claim needs to know. Read only.
select c.state, c.state_reason, c.open_wave,
       exists (select from campaign_message m where m.month = c.month and m.campaign_id = c.id and m.state = 'planned'
               and m.wave <= c.open_wave and m.not_before <= statement_timestamp()) as due,
       (select min(m.not_before) from campaign_message m
        where m.month = c.month and m.campaign_id = c.id and m.state = 'planned' and m.wave <= c.open_wave) as next_due,
       exists (select from campaign_message m where m.month = c.month and m.campaign_id = c.id and m.state = 'planned'
               and m.wave > c.open_wave) as held_back
from campaign c where c.id = :campaign_id;

-- name: expire(campaign_id)!
-- planned -> expired for a campaign past its expiry.
update campaign_message m
set state = 'expired', reason = 'expired', updated_at = clock_timestamp()
from campaign c
where c.id = :campaign_id and c.expires_at <= clock_timestamp() and c.state in ('sending', 'paused', 'approved')
  and m.month = c.month and m.campaign_id = c.id and m.state = 'planned';

-- name: release_uncertain(campaign_id, before)!
-- uncertain -> planned for another attempt, by a person's decision: whoever did get the message gets a second one.
update campaign_message m
set state = 'planned', attempt = m.attempt + 1, not_before = 'epoch', claimed_by = null, claimed_at = null,
    updated_at = clock_timestamp()
from campaign c
where c.id = :campaign_id and m.month = c.month and m.campaign_id = c.id and m.state = 'uncertain'
  and m.claimed_at < :before;

-- name: settle_finished(entity, before)!
-- sent -> settled once nothing can change any more: every message has a final status, or is older than its lifetime.
update campaign c
set state = 'settled', settled_at = now(), updated_at = now()
where c.entity = :entity and c.state = 'sent'
  and not exists (select from campaign_message m where m.month = c.month and m.campaign_id = c.id
                  and m.state in ('planned', 'sending', 'uncertain', 'accepted') and m.claimed_at > :before);

-- name: counts(month, campaign_id)
-- Ledger rows of a campaign by state. Read only.
select state, count(*) as messages from campaign_message
where month = :month and campaign_id = :campaign_id group by state;
