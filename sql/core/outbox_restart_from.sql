-- makegood: outbox_restart_from
-- What a restart has to know: the oldest cursor of all shards, whether somebody other than $1 still relays, how many
-- rows outbox_restart will write, whether this server cannot have written any of the cursors, and whether nobody else is
-- at it: $3 is the lock.
SELECT coalesce((
           SELECT c.from_snapshot::text
           FROM makegood.outbox_cursor c
           ORDER BY pg_snapshot_xmax(c.from_snapshot), (SELECT count(*) FROM pg_snapshot_xip(c.from_snapshot)) DESC
           LIMIT 1
       ), '3:3:') AS oldest,
       EXISTS (SELECT FROM makegood.outbox_cursor c WHERE c.leased AND c.holder IS DISTINCT FROM $1) AS relayed,
       (SELECT count(DISTINCT shard) FROM makegood.outbox_steps WHERE shard >= $2::bigint) + $2::bigint AS steps,
       pg_current_snapshot()::text AS now,
       EXISTS (SELECT FROM makegood.outbox_cursor c WHERE c.is_foreign) AS is_foreign,
       pg_try_advisory_xact_lock($3::bigint) AS mine
