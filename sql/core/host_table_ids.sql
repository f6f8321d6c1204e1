-- makegood: host_table_ids
-- What the host's tables of the names $1 are, in their order; null for a name that is none.
SELECT pg_catalog.to_regclass(t.written)::pg_catalog.oid
FROM pg_catalog.unnest($1::pg_catalog.text[]) WITH ORDINALITY t (written, place)
ORDER BY t.place
