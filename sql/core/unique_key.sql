-- makegood: unique_key
-- Whether the table $1 exists, has the column $2, and a unique index that ON CONFLICT can rely on:
-- on that column alone, whole, valid, and checked at once rather than at commit.
SELECT c.oid IS NOT NULL AS has_table, a.attnum IS NOT NULL AS has_column,
       EXISTS (
           SELECT FROM pg_catalog.pg_index i
           WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indisready AND i.indimmediate
                 AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum
       ) AS has_key
FROM (SELECT $1::oid AS oid) c
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = $2 AND NOT a.attisdropped AND a.attnum > 0
