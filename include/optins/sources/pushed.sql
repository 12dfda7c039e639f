-- name: received(entity, source, since)
-- What a source has sent, in the order in which it came. Read only.
select record, received_at from pushed_record
where entity = :entity and source = :source and received_at >= coalesce(:since::timestamptz, '-infinity')
order by received_at, digest;

-- name: forget(entity, source, before)!
-- Records that an applied pull has taken, and no later pull reads again. They hold phone numbers. Repeatable.
delete from pushed_record where entity = :entity and source = :source and received_at < :before;
