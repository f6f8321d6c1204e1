-- makegood: decision_discard
SELECT count(makegood.discard(wanted.id, $2)) FROM unnest($1::bigint[]) AS wanted (id)
