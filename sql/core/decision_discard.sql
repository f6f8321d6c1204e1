-- makegood: decision_discard
SELECT count(makegood.discard(wanted.id, $2)) FROM pg_catalog.unnest($1::bigint[]) AS wanted (id)
