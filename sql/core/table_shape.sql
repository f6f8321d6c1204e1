-- makegood: table_shape
-- The columns of the table that $1 names, for a mapping that is drafted from them; no row where there is no such table. A
-- column is required if an insert must give it a value, and unique if one column alone has a unique index.
SELECT a.attname::text AS column_name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS kind,
       a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = '' AS required,
       a.attgenerated <> '' OR a.attidentity <> '' AS is_made,
       coalesce(u.is_primary, false) AS is_primary, u.is_primary IS NOT NULL AS is_unique,
       f.confrelid::pg_catalog.regclass::text AS other_table, o.attname::text AS other_column
FROM pg_catalog.pg_attribute a
LEFT JOIN LATERAL (
    SELECT pg_catalog.bool_or(i.indisprimary) AS is_primary
    FROM pg_catalog.pg_index i
    WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
          AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum
) u ON true
LEFT JOIN LATERAL (
    SELECT c.confrelid, c.confkey[1] AS number
    FROM pg_catalog.pg_constraint c
    WHERE c.conrelid = a.attrelid AND c.contype = 'f' AND c.conkey = ARRAY[a.attnum]
    ORDER BY c.oid
    LIMIT 1
) f ON true
LEFT JOIN pg_catalog.pg_attribute o ON o.attrelid = f.confrelid AND o.attnum = f.number
WHERE a.attrelid = pg_catalog.to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
