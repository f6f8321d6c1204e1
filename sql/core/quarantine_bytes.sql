-- makegood: quarantine_bytes
SELECT pg_catalog.pg_total_relation_size('makegood.quarantine'::pg_catalog.regclass)
