-- makegood: doctor_host_tables
-- Of the tables $2, which the mapping calls $1 and of which some may not exist: what the role could do to them that
-- makegood never does, and columns of a type that has no zone.
SELECT t.written,
       pg_catalog.pg_has_role(c.relowner, 'USAGE') AS owns,
       pg_catalog.has_any_column_privilege(c.oid, 'UPDATE') AS may_update,
       pg_catalog.has_table_privilege(c.oid, 'DELETE') AS may_delete,
       ARRAY(
           SELECT a.attname::text
           FROM pg_catalog.pg_attribute a
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                 AND a.atttypid = 'pg_catalog.timestamp'::pg_catalog.regtype
           ORDER BY a.attnum
       ) AS without_zone
FROM unnest($1::text[], $2::oid[]) AS t (written, oid)
JOIN pg_catalog.pg_class c ON c.oid = t.oid AND c.relkind IN ('r', 'p')
ORDER BY 1
