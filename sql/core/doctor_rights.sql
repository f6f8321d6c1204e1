-- makegood: doctor_rights
-- The inbox's and the outbox's tables that the role may not empty when their turn comes; one row each.
SELECT c.relname::text AS table_name
FROM pg_catalog.pg_class c
WHERE c.relnamespace = pg_catalog.to_regnamespace('makegood') AND c.relkind = 'r' AND c.relname::text ~ '^(in|out)box_[0-9]+$'
      AND NOT pg_catalog.has_table_privilege(c.oid, 'TRUNCATE')
ORDER BY 1
