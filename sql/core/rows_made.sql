-- makegood: rows_made
-- How many rows this transaction has inserted into the table $1 and its partitions, what was rolled back included.
SELECT coalesce(sum(pg_catalog.pg_stat_get_xact_tuples_inserted(t.id)), 0)::bigint AS rows
FROM (SELECT $1::oid AS id UNION SELECT relid FROM pg_catalog.pg_partition_tree($1::oid)) t
