-- makegood: host_tables_visible
-- The host's tables that can be named without a schema, and the role that asks.
SELECT c.relname::text AS table_name, current_user::text AS role
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND pg_catalog.pg_table_is_visible(c.oid)
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'makegood')
ORDER BY 1
LIMIT 1000
