-- makegood: doctor_rights
-- makegood's own tables that the role may not use as the daemon does; one row each.
SELECT c.relname::text AS table_name
FROM pg_catalog.pg_class c
WHERE c.relnamespace = pg_catalog.to_regnamespace('makegood') AND c.relkind IN ('r', 'p')
      AND NOT (
          pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE')
          AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
          -- What people decided is written by functions and triggers.
          AND (pg_catalog.has_any_column_privilege(c.oid, 'INSERT') OR c.relname IN ('decisions', 'audit_entries', 'outbox_publishers', 'asks', 'four_eyes'))
          AND (pg_catalog.has_any_column_privilege(c.oid, 'UPDATE')
               OR c.relname IN ('audit_entries', 'outbox_discarded', 'outbox_publishers', 'asks', 'four_eyes', 'positions', 'inbox'))
          AND (pg_catalog.has_table_privilege(c.oid, 'DELETE')
               OR c.relname NOT IN ('positions', 'workers', 'outbox_steps', 'outbox_parked'))
          AND (c.relname::text !~ '^outbox_[0-9]+$' OR pg_catalog.has_table_privilege(c.oid, 'TRUNCATE'))
      )
ORDER BY 1
