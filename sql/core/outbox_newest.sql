-- makegood: outbox_newest
-- The newest step of shard $1, how long its lease still lasts in seconds, and whether it was written in another
-- cluster: a dump that was restored into this one keeps the number of the transaction that wrote the row, but the
-- row itself was written by the restore. (pg_upgrade makes another cluster too, and keeps both.)
SELECT s.step, s.shards, s.from_snapshot::text, s.to_snapshot::text, s.last_seq, s.holder,
       CASE WHEN s.lease_until > clock_timestamp()
            THEN extract(epoch FROM s.lease_until - clock_timestamp())::double precision ELSE 0 END AS lease_left,
       s.system_identifier <> c.system_identifier
           AND s.xmin::text::bigint <> s.xid::text::bigint % 4294967296 AS is_foreign
FROM makegood.outbox_steps s, pg_catalog.pg_control_system() c
WHERE s.shard = $1
ORDER BY s.step DESC
LIMIT 1
