-- makegood: key_type
-- The table named $1 and its column $2 as they must be written, and the column's type.
SELECT c.oid::regclass::text AS table_name, pg_catalog.quote_ident(a.attname) AS column_name,
       pg_catalog.format_type(a.atttypid, NULL) AS kind
FROM (SELECT pg_catalog.to_regclass($1)::oid AS oid) c
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = $2 AND NOT a.attisdropped AND a.attnum > 0
