-- makegood: key_type
-- The table $1 and each of its columns $2 as they must be written, the column's type, and the schema of the operator that
-- compares its values in an index: an extension's type has one of its own.
SELECT c.oid::regclass::text AS table_name, pg_catalog.quote_ident(a.attname) AS column_name,
       pg_catalog.format_type(a.atttypid, NULL) AS kind,
       coalesce((
           SELECT quote_ident(n.nspname)
           FROM pg_catalog.pg_opclass c
           JOIN pg_catalog.pg_am m ON m.oid = c.opcmethod AND m.amname = 'btree'
           JOIN pg_catalog.pg_amop p ON p.amopfamily = c.opcfamily AND p.amopstrategy = 3
               AND p.amoplefttype = c.opcintype AND p.amoprighttype = c.opcintype
           JOIN pg_catalog.pg_operator o ON o.oid = p.amopopr AND o.oprname = '='
           JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
           WHERE c.opcdefault AND c.opcintype = a.atttypid
       ), 'pg_catalog') AS equals
FROM (SELECT $1::oid AS oid) c
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = ANY ($2::text[]) AND NOT a.attisdropped AND a.attnum > 0
ORDER BY pg_catalog.array_position($2::text[], a.attname::text)
