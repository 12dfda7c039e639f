-- name: claim(month, campaign_id, messages, lane, category, recent_month, max_per_week, window_start, window_end, entity_zone, expires_at)
-- planned -> sending, and what is needed to send it; or -> excluded, when the person may no longer be messaged; or planned
-- for the next window of the person's own day; or -> expired, when that would be too late. One transaction by itself;
-- workers skip each other's rows; consent, suppression, cap and window are read in this same statement.
with due as (
    select m.month, m.campaign_id, m.subscription_id
    from campaign_message m
    where m.month = :month and m.campaign_id = :campaign_id and m.state = 'planned'
      and m.not_before <= statement_timestamp()
      -- null, and so nobody, unless the campaign is being sent: a pause stops every worker at its next claim
      and m.wave <= (select c.open_wave from campaign c where c.id = :campaign_id and c.state = 'sending')
    order by m.wave, m.not_before
    limit :messages
    for update skip locked
), looked_up as materialized (
    select due.*, s.phone, s.consent_event_id, s.status, s.entity, s.person_hash,
           coalesce(s.time_zone, :entity_zone) as zone,
           statement_timestamp() at time zone coalesce(s.time_zone, :entity_zone) as moment
    from due join subscription s on s.id = due.subscription_id
), judged as materialized (
    -- materialized, or every mention of the reason below is another look at the suppressions and past messages
    select l.*,
           case
               when l.status = 'unsubscribed' then 'opted_out'
               when l.status <> 'subscribed' or l.phone is null then 'no_consent'
               when exists (select from suppression x where x.entity = l.entity and x.person_hash = l.person_hash)
                   then 'suppressed'
               when :category = 'marketing' and :max_per_week <= (
                   select count(*)
                   from campaign_message o join campaign c on c.id = o.campaign_id and c.month = o.month
                   where o.subscription_id = l.subscription_id and o.campaign_id <> :campaign_id
                     and c.month >= :recent_month and o.month >= :recent_month and o.claimed_at > statement_timestamp() - interval '7 days'
                     and o.state in ('sending', 'uncertain', 'accepted', 'delivered', 'read')
                     and c.entity = l.entity and c.parameters ->> 'category' = 'marketing') then 'frequency_cap'
               when :window_start::time is not null
                    and not l.moment::time between :window_start::time and :window_end::time then 'outside_window'
           end as reason,
           (l.moment::date + case when l.moment::time < :window_start::time then 0 else 1 end + :window_start::time)
               at time zone l.zone as opens
    from looked_up l
)
update campaign_message m
set state = case when j.reason is null then 'sending'
                 when j.reason <> 'outside_window' then 'excluded'
                 when j.opens >= :expires_at then 'expired'
                 else 'planned' end,
    reason = case when j.reason = 'outside_window' and j.opens < :expires_at then null else j.reason end,
    not_before = case when j.reason = 'outside_window' then j.opens else m.not_before end,
    consent_event_id = j.consent_event_id,
    claimed_by = case when j.reason is null then :lane end,
    claimed_at = case when j.reason is null then statement_timestamp() end,
    updated_at = statement_timestamp()
from judged j
where m.month = j.month and m.campaign_id = j.campaign_id and m.subscription_id = j.subscription_id
returning m.subscription_id, m.attempt, m.reference, m.language, m.variant, m.variables, j.reason, j.phone;

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
