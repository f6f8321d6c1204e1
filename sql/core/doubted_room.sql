-- makegood: doubted_room
-- How many events that their payments do not bear out a route keeps, at most $2, and their bytes.
SELECT pg_catalog.count(*) AS records, coalesce(pg_catalog.sum(d.bytes), 0)::bigint AS bytes
FROM (
    SELECT pg_catalog.octet_length(q.value) AS bytes
    FROM makegood.quarantine q
    WHERE q.route_id = $1 AND q.reason IN ('no_payment', 'mismatch') AND q.resolved_at IS NULL
    LIMIT $2
) d
