-- makegood: outbox_retry_next
-- The next rows that were parked and may go, in the order they have to: those that somebody asked for, and those of
-- the topics $5, which take events again. None before an earlier one of its key that waits for something else: it is not asked
-- for, or waits for its topic where this one does not. At most $3 rows and about $4 bytes, but always one.
SELECT s.seq, s.id, s.aggregatetype, s.aggregateid, s.type, s.payload, s.headers, s.created_at
FROM (
    SELECT d.*, sum(d.bytes) OVER (ORDER BY d.seq) AS total
    FROM (
        SELECT p.*
        FROM (
            (SELECT a.* FROM makegood.outbox_parked a WHERE a.retry_at IS NOT NULL AND NOT a.by_topic ORDER BY a.seq LIMIT $3)
            UNION ALL
            SELECT b.*
            FROM unnest($5::text[]) AS t (topic)
            CROSS JOIN LATERAL (
                SELECT * FROM makegood.outbox_parked h WHERE h.by_topic AND h.aggregatetype = t.topic ORDER BY h.seq LIMIT $3
            ) b
        ) p
        WHERE makegood.outbox_shard(p.aggregateid, p.seq, $2) = $1
              AND NOT EXISTS (
                  SELECT FROM makegood.outbox_parked before
                  WHERE before.aggregateid = p.aggregateid AND before.aggregatetype = p.aggregatetype AND before.seq < p.seq
                        AND NOT before.by_topic AND (p.by_topic OR before.retry_at IS NULL)
              )
              AND (p.by_topic OR NOT EXISTS (
                  SELECT FROM makegood.outbox_parked before
                  WHERE before.aggregateid = p.aggregateid AND before.aggregatetype = p.aggregatetype AND before.seq < p.seq
                        AND before.by_topic
              ))
        ORDER BY p.seq
        LIMIT $3
    ) d
) s
WHERE s.total - s.bytes < $4
ORDER BY s.seq
