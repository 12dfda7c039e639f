-- Brakes look four times a second for codes that stop a campaign. Failures are few among the events of a campaign, and a look
-- at all of them takes longer the more has been sent.
create index message_event_failed on message_event (campaign_id, error_code, recorded_at)
    where status in ('failed', 'rejected');
