-- makegood: outbox_turn
-- The turn at hand, and how long it has lasted in seconds.
SELECT turn, extract(epoch FROM now() - began_at)::double precision AS lasted
FROM makegood.outbox_turns
ORDER BY turn DESC
LIMIT 1
