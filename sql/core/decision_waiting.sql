-- makegood: decision_waiting
-- The next replays of a route that were asked for: at most $3, and no more once their records have $4 bytes. A record
-- that the mapping $5 has refused since is a suspect, and tried as such.
SELECT id, quarantine_id
FROM (
    SELECT id, quarantine_id, sum(bytes) OVER (ORDER BY id) - bytes AS before
    FROM (
        SELECT d.id, d.quarantine_id, coalesce(octet_length(q.value), 0) AS bytes
        FROM makegood.decisions d
        LEFT JOIN makegood.quarantine q ON q.id = d.quarantine_id
        WHERE d.route_id = $1 AND d.kind = 'replay' AND d.finished_at IS NULL AND d.id > $2
              AND (q.suspect IS NULL OR q.fingerprint IS DISTINCT FROM $5 OR q.resolved_at IS NOT NULL)
        ORDER BY d.id
        LIMIT $3
    ) next
) counted
WHERE before < $4
ORDER BY id
