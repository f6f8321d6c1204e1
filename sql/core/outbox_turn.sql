-- makegood: outbox_turn
-- The turn at hand, and how long it has lasted in seconds. Where none was ever begun, turn 0 has been filled.
SELECT turn, extract(epoch FROM now() - began_at)::double precision AS lasted
FROM (SELECT turn, began_at FROM makegood.outbox_turns UNION ALL SELECT 0, 'epoch'::timestamptz) t
ORDER BY turn DESC, began_at DESC
LIMIT 1
