-- makegood: decision_ask_replay
SELECT wanted.id, makegood.replay(wanted.id, $2) FROM unnest($1::bigint[]) WITH ORDINALITY AS wanted (id, n) ORDER BY n
