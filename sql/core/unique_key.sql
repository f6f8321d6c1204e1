-- makegood: unique_key
-- Whether the table $1 exists, has the column $2, and a unique index that ON CONFLICT can rely on: on that column alone,
-- whole, valid, and checked at once rather than at commit. If not, what stands in the way: that it is no table, that it
-- is partitioned by other columns, or that such an index is there and was never finished.
SELECT c.oid IS NOT NULL AS has_table, a.attnum IS NOT NULL AS has_column,
       EXISTS (
           SELECT FROM pg_catalog.pg_index i
           WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indisready AND i.indimmediate
                 AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum
       ) AS has_key,
       CASE t.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' END AS no_table,
       CASE WHEN t.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END AS partitioned_by,
       EXISTS (
           SELECT FROM pg_catalog.pg_partitioned_table p
           WHERE p.partrelid = c.oid AND (p.partnatts > 1 OR p.partattrs[0] <> a.attnum)
       ) AS is_parted_otherwise,
       (
           SELECT pg_catalog.format('%I.%I', n.nspname, x.relname)
           FROM pg_catalog.pg_index i
           JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
           JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace
           WHERE i.indrelid = c.oid AND i.indisunique AND NOT (i.indisvalid AND i.indisready)
                 AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum
           ORDER BY x.relname
           LIMIT 1
       ) AS unfinished
FROM (SELECT $1::oid AS oid) c
LEFT JOIN pg_catalog.pg_class t ON t.oid = c.oid
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = $2 AND NOT a.attisdropped AND a.attnum > 0
