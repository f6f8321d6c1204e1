-- makegood: quarantine_retry
-- Judged records to try once more without being asked, after the number $3: what another mapping than $2 refused or
-- rejected, and what PostgreSQL refused, for what it lacked may be there by now. At most $4, and no more once they
-- have $5 bytes.
SELECT id
FROM (
    SELECT id, pg_catalog.sum(bytes) OVER (ORDER BY id) - bytes AS before
    FROM (
        SELECT q.id, coalesce(pg_catalog.octet_length(q.value), 0) AS bytes
        FROM makegood.quarantine q
        WHERE q.route_id = $1 AND q.id > $3 AND q.resolved_at IS NULL AND q.suspect IS NULL
              AND q.reason NOT IN ('no_payment', 'mismatch')
              AND (q.fingerprint IS DISTINCT FROM $2 OR q.reason IN ('refused', 'no_outcome'))
        ORDER BY q.id
        LIMIT $4
    ) next
) counted
WHERE before < $5
ORDER BY id
