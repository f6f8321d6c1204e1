-- makegood: outbox_trim
-- Steps nobody needs any more.
DELETE FROM makegood.outbox_steps WHERE shard = $1 AND step < $2
