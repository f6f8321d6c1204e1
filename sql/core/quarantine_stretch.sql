-- makegood: quarantine_stretch
-- What each partition has read lately: how many records from the first on, up to which offset, and which of the
-- last $4 went to quarantine, all of them and those nobody has decided on. $5 and $6 are the partitions of the
-- batch at hand and where it ends in each, for a log that is read again.
SELECT p.partition, p.next_offset,
       p.applied + p.already + p.conflict + p.ignored + p.duplicate + p.quarantined + p.other_type + p.tombstone + p.tested
           AS read,
       coalesce(q.known, '{}') AS known, coalesce(q.open, '{}') AS open
FROM (
    SELECT DISTINCT ON (partition) *
    FROM makegood.positions
    WHERE consumer_group = $1 AND topic_id = $2
    ORDER BY partition, step DESC
) p
LEFT JOIN unnest($5::integer[], $6::bigint[]) AS batch (partition, until) USING (partition)
CROSS JOIN LATERAL (
    SELECT pg_catalog.array_agg(put."offset") AS known,
           pg_catalog.array_agg(put."offset") FILTER (WHERE put.resolved_at IS NULL) AS open
    FROM makegood.quarantine put
    WHERE put.route_id = $3 AND put.topic_id = $2 AND put.partition = p.partition
          AND put."offset" >= p.next_offset - $4 AND put."offset" < greatest(p.next_offset, batch.until)
) q
