-- makegood: host_columns
-- The columns of the tables $2, which the mapping calls $1 and of which some may not exist, in the order of the table;
-- one row without a column for a table that has none. A column is required if an insert must give it a value.
SELECT t.written, a.attname::text AS column_name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS kind,
       a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = '' AS required,
       EXISTS (
           SELECT FROM pg_catalog.pg_trigger g
           -- tgtype: 1 for each row, 2 before, 4 insert
           WHERE g.tgrelid = t.oid AND g.tgtype & 7 = 7 AND g.tgenabled <> 'D'
       ) AS has_trigger,
       pg_catalog.has_any_column_privilege(t.oid, 'SELECT') AS readable,
       pg_catalog.has_any_column_privilege(t.oid, 'INSERT') AS insertable
FROM unnest($1::text[], $2::oid[]) AS t (written, oid)
JOIN pg_catalog.pg_class c ON c.oid = t.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY t.written, a.attnum
