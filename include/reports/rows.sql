-- The rows behind a figure, with psycopg's placeholders: recipients.py adds {condition} before they run.

-- name: page()
-- One page of people, in the order of their key: `after` is the last one of the page before.
select m.subscription_id, m.reference, m.state, m.reason, m.error_source, m.error_code, m.country, m.language,
       m.variant, m.attempt, m.accepted_at, m.delivered_at, m.read_at, m.failed_at, m.replied_at, m.opted_out_at,
       s.phone
from campaign_message m
join subscription s on s.id = m.subscription_id
where m.month = %(month)s and m.campaign_id = %(campaign_id)s and m.subscription_id > %(after)s and {condition}
order by m.subscription_id
limit %(limit)s;

-- name: export()
-- One row per person with the reason, the times and the proof of consent, ready for a spreadsheet.
select m.subscription_id, m.reference,
       case when %(phones)s then spreadsheet_text(s.phone) end as phone,
       spreadsheet_text(m.country) as country, spreadsheet_text(m.language) as language,
       spreadsheet_text(m.variant) as variant, m.state, spreadsheet_text(m.reason) as reason,
       m.error_source, m.error_code, e.cause, e.meaning, m.attempt,
       utc_text(m.accepted_at) as accepted_at, utc_text(m.delivered_at) as delivered_at,
       utc_text(m.read_at) as read_at, utc_text(m.failed_at) as failed_at, utc_text(m.replied_at) as replied_at,
       utc_text(m.clicked_at) as clicked_at, utc_text(m.opted_out_at) as opted_out_at,
       m.price, spreadsheet_text(m.currency) as currency,
       m.consent_event_id, utc_text(c.occurred_at) as consent_at, spreadsheet_text(c.source) as consent_source,
       spreadsheet_text(c.source_record_id) as consent_record
from campaign_message m
join subscription s on s.id = m.subscription_id
left join consent_event c on c.id = m.consent_event_id
left join unnest(%(sources)s::text[], %(codes)s::integer[], %(causes)s::text[], %(meanings)s::text[]) as e (source, code, cause, meaning)
       on m.state in ('rejected', 'failed')
          and e.source is not distinct from m.error_source and e.code is not distinct from m.error_code
where m.month = %(month)s and m.campaign_id = %(campaign_id)s and {condition}
order by m.subscription_id;
