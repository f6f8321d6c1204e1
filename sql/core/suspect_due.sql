-- makegood: suspect_due
-- Which suspects of a route to try now: those that are proven, those that another mapping than $2 refused, and the
-- oldest of the rest. At most $3, and no more once their records have $4 bytes.
SELECT id, suspect = 'unproven' AND fingerprint = $2 AS is_same
FROM (
    SELECT id, suspect, fingerprint, pg_catalog.sum(bytes) OVER (ORDER BY rank, id) - bytes AS before
    FROM (
        SELECT q.id, q.suspect, q.fingerprint, coalesce(pg_catalog.octet_length(q.value), 0) AS bytes,
               CASE WHEN q.suspect = 'proven' THEN 0 WHEN q.fingerprint <> $2 THEN 1 ELSE 2 END AS rank
        FROM makegood.quarantine q
        WHERE q.route_id = $1 AND q.suspect IN ('unproven', 'proven') AND q.resolved_at IS NULL AND NOT (q.id = ANY ($5::bigint[]))
              AND (q.suspect = 'proven' OR q.fingerprint <> $2 OR q.id = (
                  SELECT pg_catalog.min(o.id)
                  FROM makegood.quarantine o
                  WHERE o.route_id = $1 AND o.suspect = 'unproven' AND o.resolved_at IS NULL AND o.fingerprint = $2
              ))
        ORDER BY rank, q.id
        LIMIT $3
    ) next
) counted
WHERE before < $4
ORDER BY id
