-- makegood: doctor_write_cost
-- The settings that decide what a write costs, and the size of the indexes of the inbox and of the host's tables $1.
SELECT current_setting('wal_compression') AS wal_compression,
       coalesce((SELECT enumvals FROM pg_catalog.pg_settings WHERE name = 'wal_compression'), '{}') AS compressions,
       pg_catalog.pg_size_bytes(current_setting('max_wal_size')) AS max_wal_bytes,
       extract(epoch FROM current_setting('checkpoint_timeout')::interval)::bigint AS checkpoint_seconds,
       pg_catalog.pg_size_bytes(current_setting('shared_buffers')) AS shared_buffers_bytes,
       (SELECT coalesce(pg_catalog.sum(pg_catalog.pg_indexes_size(c.oid)), 0)::bigint
        FROM pg_catalog.pg_class c
        WHERE c.relkind = 'r' AND (c.oid = ANY ($1::oid[])
              OR c.relnamespace = pg_catalog.to_regnamespace('makegood') AND c.relname::text ~ '^inbox(_[0-9]+)?$')) AS index_bytes
