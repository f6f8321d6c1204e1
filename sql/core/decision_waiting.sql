-- makegood: decision_waiting
-- The next replays of a route that were asked for: at most $3, and no more once their records have $4 bytes.
SELECT id
FROM (
    SELECT id, sum(bytes) OVER (ORDER BY id) - bytes AS before
    FROM (
        SELECT d.id, coalesce(octet_length(q.value), 0) AS bytes
        FROM makegood.decisions d
        LEFT JOIN makegood.quarantine q ON q.id = d.quarantine_id
        WHERE d.route_id = $1 AND d.kind = 'replay' AND d.finished_at IS NULL AND d.id > $2
        ORDER BY d.id
        LIMIT $3
    ) next
) counted
WHERE before < $4
ORDER BY id
