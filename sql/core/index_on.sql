-- makegood: index_on
-- Whether the table $1 has a valid index that begins with these columns in this order, and whether it is partitioned.
SELECT EXISTS (
    SELECT
    FROM pg_catalog.pg_index i
    WHERE i.indrelid = $1::oid AND i.indisvalid AND i.indpred IS NULL
          AND (
              SELECT pg_catalog.array_agg(a.attname::text ORDER BY k.place)
              FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, place)
              JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
              WHERE k.place <= pg_catalog.cardinality($2::text[])
          ) = $2::text[]
),
       EXISTS (SELECT FROM pg_catalog.pg_partitioned_table p WHERE p.partrelid = $1::oid)
