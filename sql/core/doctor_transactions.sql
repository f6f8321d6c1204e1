-- makegood: doctor_transactions
-- The longest transaction of others that this role may see, and prepared ones.
SELECT o.pid, o.who, o.seconds, p.prepared, p.oldest_prepared_seconds
FROM (
    SELECT count(*) AS prepared,
           extract(epoch FROM pg_catalog.clock_timestamp() - min(prepared))::bigint AS oldest_prepared_seconds
    FROM pg_catalog.pg_prepared_xacts
    WHERE database = current_database()
) p
LEFT JOIN (
    SELECT pid, coalesce(usename::text, '?') || coalesce(' (' || nullif(application_name, '') || ')', '') AS who,
           extract(epoch FROM pg_catalog.clock_timestamp() - xact_start)::bigint AS seconds
    FROM pg_catalog.pg_stat_activity
    WHERE xact_start IS NOT NULL AND pid <> pg_catalog.pg_backend_pid() AND datname = current_database()
          AND backend_type = 'client backend'
    ORDER BY xact_start
    LIMIT 1
) o ON true
