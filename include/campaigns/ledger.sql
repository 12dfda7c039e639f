-- name: claim(month, campaign_id, messages, lane)
-- planned -> sending (or -> excluded, when the person may no longer be messaged), and what is needed to send it.
-- One transaction by itself; workers skip each other's rows; consent and suppression are read in the same statement.
with due as (
    select m.month, m.campaign_id, m.subscription_id
    from campaign_message m
    where m.month = :month and m.campaign_id = :campaign_id and m.state = 'planned'
      and (m.not_before is null or m.not_before <= clock_timestamp())
      and exists (select from campaign c where c.id = :campaign_id and c.state = 'sending')
    order by m.subscription_id
    limit :messages
    for update skip locked
), judged as (
    select due.*, s.phone, s.consent_event_id,
           case when s.status = 'unsubscribed' then 'opted_out'
                when s.status <> 'subscribed' or s.phone is null then 'no_consent'
                when exists (select from suppression x where x.entity = s.entity and x.person_hash = s.person_hash)
                    then 'suppressed'
           end as reason
    from due join subscription s on s.id = due.subscription_id
)
update campaign_message m
set state = case when j.reason is null then 'sending' else 'excluded' end,
    reason = j.reason, consent_event_id = j.consent_event_id,
    claimed_by = :lane, claimed_at = statement_timestamp(), updated_at = statement_timestamp()
from judged j
where m.month = j.month and m.campaign_id = j.campaign_id and m.subscription_id = j.subscription_id
returning m.subscription_id, m.attempt, m.reference, m.language, m.variables, m.reason, j.phone;

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
select c.state, c.state_reason,
       exists (select from campaign_message m where m.month = c.month and m.campaign_id = c.id and m.state = 'planned'
               and (m.not_before is null or m.not_before <= clock_timestamp())) as due,
       (select min(m.not_before) from campaign_message m
        where m.month = c.month and m.campaign_id = c.id and m.state = 'planned') as next_due
from campaign c where c.id = :campaign_id;

-- name: counts(month, campaign_id)
-- Ledger rows of a campaign by state. Read only.
select state, count(*) as messages from campaign_message
where month = :month and campaign_id = :campaign_id group by state;
