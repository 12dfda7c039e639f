-- A worker itself says how much it can still have in any second while it gives a part of its share up, and which campaign
-- it sends for: a campaign may ask for less than the integration's rate. Leases live for seconds; those there are none's.

delete from sender_lease;
alter table sender_lease
    drop column held_until,
    add column campaign_id bigint,
    add column own_rate integer check (own_rate >= 0);
comment on table sender_lease is 'The part of an integration''s rate that one worker may use now. No second of its ever contains more messages than held, which is its share, or more while it gives some up.';
comment on column sender_lease.own_rate is 'What the campaign asked for, all its workers together; null: the integration''s rate.';
