-- makegood: unique_key
-- Whether the table $1 exists, has the columns $2, and a unique index that ON CONFLICT can rely on: on those columns and no
-- others, whole, valid, and checked at once rather than at commit. If not, what stands in the way: that it is no table, that
-- it is partitioned by other columns, or that such an index is there and was never finished.
WITH key AS MATERIALIZED (
    SELECT pg_catalog.array_agg(a.attnum ORDER BY a.attnum) AS columns, pg_catalog.array_agg(a.attname::text) AS names
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = $1::oid AND a.attname = ANY ($2::text[]) AND NOT a.attisdropped AND a.attnum > 0
), own AS MATERIALIZED (
    SELECT i.indexrelid, i.indisvalid AND i.indisready AS is_valid, i.indimmediate AND i.indpred IS NULL AS is_whole
    FROM pg_catalog.pg_index i
    CROSS JOIN key
    WHERE i.indrelid = $1::oid AND i.indisunique
          AND key.columns = (
              SELECT pg_catalog.array_agg(c ORDER BY c)
              FROM pg_catalog.unnest((i.indkey::smallint[])[0:i.indnkeyatts - 1]) c
          )
)
SELECT c.oid IS NOT NULL AS has_table,
       (SELECT n FROM pg_catalog.unnest($2::text[]) n WHERE n <> ALL (coalesce(key.names, '{}')) LIMIT 1) AS lacks,
       EXISTS (SELECT FROM own WHERE is_valid AND is_whole) AS has_key,
       CASE t.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' END AS no_table,
       CASE WHEN t.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END AS partitioned_by,
       EXISTS (
           SELECT FROM pg_catalog.pg_partitioned_table p
           WHERE p.partrelid = c.oid AND NOT p.partattrs::smallint[] <@ key.columns
       ) AS is_parted_otherwise,
       (
           SELECT pg_catalog.format('%I.%I', n.nspname, x.relname)
           FROM own
           JOIN pg_catalog.pg_class x ON x.oid = own.indexrelid
           JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace
           WHERE NOT own.is_valid
           ORDER BY x.relname
           LIMIT 1
       ) AS unfinished
FROM (SELECT $1::oid AS oid) c
CROSS JOIN key
LEFT JOIN pg_catalog.pg_class t ON t.oid = c.oid
