-- Sending hours that may cross midnight, quiet hours beside them, money taken from a budget, and a sender's quality.

create function is_open(clock time, open_from time, open_until time, quiet_from time, quiet_until time) returns boolean
language sql immutable parallel safe
return (open_from is null
        or case when open_from < open_until then clock >= open_from and clock < open_until
                else clock >= open_from or clock < open_until end)
   and (quiet_from is null
        or not case when quiet_from < quiet_until then clock >= quiet_from and clock < quiet_until
                    else clock >= quiet_from or clock < quiet_until end);
comment on function is_open is 'Whether somebody may be written to at a time of their clock: inside the window and outside quiet hours, either of which may cross midnight or be missing.';

-- Exact on the days a clock changes, too: the first moment can be an edge of the hours, the earlier of two such moments
-- when the clock is set back, or the change itself when it jumps over an edge. Zones change on quarters of an hour.
create function next_opening(moment timestamptz, zone text, open_from time, open_until time, quiet_from time,
                             quiet_until time) returns timestamptz language sql stable parallel safe
return (
    with edge as (
        select ((moment at time zone zone)::date + days + clock) at time zone zone as at
        from generate_series(-1, 3) days
        cross join lateral (values (open_from), (open_until), (quiet_from), (quiet_until)) edges (clock)
        where clock is not null
    ), candidate as (
        select moment as at
        union all
        select edge.at - make_interval(mins => 30 * steps) from edge, generate_series(0, 4) steps
        union all
        select date_bin('15 minutes', edge.at, 'epoch') - make_interval(mins => 15 * steps)
        from edge, generate_series(0, 8) steps
    )
    select min(at) from candidate
    where at >= moment and is_open((at at time zone zone)::time, open_from, open_until, quiet_from, quiet_until)
);
comment on function next_opening is 'The first moment, from one on, at which somebody in a zone may be written to: that moment itself when it is now. Null when no hour of the day is open.';

alter table campaign add column spent numeric not null default 0;
comment on column campaign.spent is 'What the messages that were claimed may cost, by the rates at that moment: never less than they do. Kept for campaigns with a budget.';
alter table campaign_message add column reserved numeric;
comment on column campaign_message.reserved is 'What this message takes from its campaign''s budget.';

alter table integration
    add column quality text not null default 'UNKNOWN' check (quality in ('GREEN', 'YELLOW', 'RED', 'UNKNOWN')),
    add column quality_at timestamptz,
    add column quality_by text;
comment on column integration.quality is 'Meta''s quality of the number. CM.com has no documented call for it: somebody enters it. YELLOW halves the rate, RED stops marketing.';
