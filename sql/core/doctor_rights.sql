-- makegood: doctor_rights
-- makegood's own tables that the role may not use as the daemon does; one row each.
SELECT c.relname::text AS table_name
FROM pg_catalog.pg_class c
WHERE c.relnamespace = pg_catalog.to_regnamespace('makegood') AND c.relkind IN ('r', 'p')
      AND NOT (
          pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE')
          AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_table_privilege(c.oid, 'INSERT')
          AND pg_catalog.has_table_privilege(c.oid, 'UPDATE') AND pg_catalog.has_table_privilege(c.oid, 'DELETE')
          AND (c.relname::text !~ '^outbox_[0-9]+$' OR pg_catalog.has_table_privilege(c.oid, 'TRUNCATE'))
      )
ORDER BY 1
