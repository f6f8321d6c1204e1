-- makegood: quarantine_look
-- What a transaction must know before its mapping runs: which of its records were put away before ($3 to $5: the
-- partitions, the first offset of each and the one after its last), which suspects of the mapping $6 are proven if
-- something is applied now, how many of those were never judged, and whether any open case names its payment.
SELECT k.partitions, k.offsets, k.digests, s.unproven, s.waiting,
       EXISTS (
           SELECT FROM makegood.quarantine q
           WHERE q.route_id = $1 AND q.resolved_at IS NULL AND q.business_key IS NOT NULL
       ) AS keyed
FROM (
    SELECT coalesce(pg_catalog.array_agg(q.partition), '{}') AS partitions,
           coalesce(pg_catalog.array_agg(q."offset"), '{}') AS offsets,
           coalesce(pg_catalog.array_agg(q.digest), '{}') AS digests
    FROM unnest($3::integer[], $4::bigint[], $5::bigint[]) AS batch (partition, since, until)
    -- OFFSET keeps the planner from reading all that was ever put away, once, in place of these ranges.
    CROSS JOIN LATERAL (
        SELECT r.partition, r."offset", r.digest
        FROM makegood.quarantine r
        WHERE r.route_id = $1 AND r.topic_id = $2 AND r.partition = batch.partition
              AND r."offset" >= batch.since AND r."offset" < batch.until
        OFFSET 0
    ) q
) k
CROSS JOIN (
    SELECT coalesce(pg_catalog.array_agg(u.id ORDER BY u.id), '{}') AS unproven,
           pg_catalog.count(*) FILTER (WHERE u.judged_at IS NULL) AS waiting
    FROM (
        SELECT q.id, q.judged_at
        FROM makegood.quarantine q
        WHERE q.route_id = $1 AND q.suspect = 'unproven' AND q.resolved_at IS NULL AND q.fingerprint = $6
        ORDER BY q.id
        LIMIT 1000
    ) u
) s
