-- makegood: decision_waiting
-- The next replays of a route that were asked for.
SELECT id
FROM makegood.decisions
WHERE route_id = $1 AND kind = 'replay' AND finished_at IS NULL AND id > $2
ORDER BY id
LIMIT $3
