-- makegood: outbox_retry_next
-- The first row of each key that somebody asked to send again, in the order they have to go.
SELECT p.seq, p.id, p.aggregatetype, p.aggregateid, p.type, p.payload, p.headers, p.created_at
FROM makegood.outbox_parked p
WHERE p.retry_at <= now() AND makegood.outbox_shard(p.aggregateid, p.seq, $2) = $1
      AND NOT EXISTS (
          SELECT FROM makegood.outbox_parked before
          WHERE before.aggregateid = p.aggregateid AND before.aggregatetype = p.aggregatetype AND before.seq < p.seq
      )
ORDER BY p.seq
LIMIT $3
