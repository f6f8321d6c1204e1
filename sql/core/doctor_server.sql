-- makegood: doctor_server
-- What the server says of itself, of the role and of this connection.
SELECT current_setting('server_version_num')::integer AS version_num, current_setting('server_version') AS version,
       current_user::text AS role, current_database()::text AS database_name,
       (SELECT s.version || ', ' || s.cipher FROM pg_catalog.pg_stat_ssl s WHERE s.pid = pg_catalog.pg_backend_pid() AND s.ssl) AS tls,
       pg_catalog.pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean AS takes_no_writes,
       -- The session's own is set by makegood.
       coalesce((SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'TimeZone'), 'unknown') AS timezone,
       current_setting('max_connections')::bigint AS max_connections,
       current_setting('superuser_reserved_connections')::bigint AS reserved_connections,
       (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend') AS used_connections,
       r.rolconnlimit::bigint AS role_limit, d.datconnlimit::bigint AS database_limit,
       r.rolsuper, r.rolcreaterole, r.rolbypassrls,
       extract(epoch FROM pg_catalog.clock_timestamp())::double precision AS clock,
       pg_catalog.pg_database_size(d.oid) AS database_bytes,
       -- Null unless the role may read all settings.
       (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'data_directory') AS data_directory
FROM pg_catalog.pg_roles r, pg_catalog.pg_database d
WHERE r.rolname = current_user AND d.datname = current_database()
