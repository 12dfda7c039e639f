-- name: log_days(entity, most)
-- The newest compared days, the newest first; costs as a list per day. Read only.
select d.*, (select coalesce(jsonb_agg(jsonb_build_object('currency', c.currency, 'messages', c.messages, 'charged', c.charged,
                                                          'expected', c.expected, 'unrated', c.unrated) order by c.currency), '[]')
             from log_day_cost c where c.entity = d.entity and c.day = d.day) as costs
from log_day d
where d.entity = :entity
order by d.day desc
limit :most;

-- name: windows(entity)
-- How far the log was read, by direction. Read only.
select direction, max(to_time) as read_until, max(pulled_at) as pulled_at, count(*) as windows, sum(rows)::bigint as rows
from log_window where entity = :entity group by direction order by direction desc;

-- name: set_aside(entity, since)
-- What came back and fits no message of ours. Read only.
select kind, reason, count(*) as events, max(received_at) as received_at
from set_aside where entity = :entity and received_at >= :since
group by kind, reason order by events desc, kind, reason;

-- name: open_ends(entity)
-- Campaigns that are not settled with messages whose fate is not known, as last counted. Read only.
select c.id as campaign_id, c.name, r.uncertain, r.awaiting, r.last_accepted_at
from campaign c join report_campaign r on r.campaign_id = c.id
where c.entity = :entity and c.settled_at is null and r.uncertain + r.awaiting > 0
order by c.id desc
limit 50;

-- name: reply_days(entity, since)
-- Replies by day (UTC) and kind. Read only.
select (received_at at time zone 'UTC')::date as day, kind, count(*) as replies
from inbound_message where entity = :entity and received_at >= :since
group by 1, 2 order by 1 desc, 2;

-- name: forwards(entity, since)
-- The outbox of replies by place: what waits, since when and why. Read only.
select forward as place, count(*) filter (where state = 'due') as due, count(*) filter (where state = 'done') as done,
       count(*) filter (where state = 'given_up') as given_up,
       min(created_at) filter (where state = 'due') as oldest_due,
       min(next_attempt_at) filter (where state = 'due' and attempts > 0) as next_attempt_at,
       (array_agg(problem order by next_attempt_at desc) filter (where problem is not null))[1] as problem
from reply_outbox where entity = :entity and created_at >= :since
group by forward order by forward;

-- name: waiting(entity, most)
-- Single replies that wait or were given up, the newest first; never what they say. Read only.
select o.inbound_id, o.forward as place, o.state, o.attempts, o.created_at, o.next_attempt_at, o.problem, m.kind, m.campaign_id
from reply_outbox o join inbound_message m on m.id = o.inbound_id
where o.entity = :entity and o.state in ('due', 'given_up')
order by o.created_at desc, o.inbound_id
limit :most;

-- name: answers(entity, since)
-- Automatic answers by kind and state. Read only.
select kind, state, count(*) as answers, max(said_at) as said_at
from answer where entity = :entity and said_at >= :since
group by kind, state order by kind, answers desc, state;

-- name: media(entity, since)
-- Copies of replies' media by state. Read only.
select state, count(*) as files, coalesce(sum(bytes), 0)::bigint as bytes,
       (array_agg(problem order by next_attempt_at desc) filter (where problem is not null))[1] as problem
from kept_media where entity = :entity and created_at >= :since
group by state order by state;
