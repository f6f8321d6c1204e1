-- makegood: doubted_next
-- Events to hold against their payments again, after the number $2: all of them, or ($3) those alone whose payment may
-- only be late. At most $4, and no more once they have $5 bytes.
SELECT id
FROM (
    SELECT id, pg_catalog.sum(bytes) OVER (ORDER BY id) - bytes AS before
    FROM (
        SELECT q.id, coalesce(pg_catalog.octet_length(q.value), 0) AS bytes
        FROM makegood.quarantine q
        WHERE q.route_id = $1 AND q.id > $2 AND q.reason IN ('no_payment', 'mismatch') AND q.resolved_at IS NULL
              AND (NOT $3 OR q.suspect = 'unverified')
        ORDER BY q.id
        LIMIT $4
    ) next
) counted
WHERE before < $5
ORDER BY id
