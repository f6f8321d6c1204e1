-- makegood: outbox_topic_behind
-- Takes note of who asked to try topic $1, and tells apart the rows that are behind one of their key that Kafka refused,
-- whether or not somebody asked for that one by now: they wait for it.
WITH behind AS (
    UPDATE makegood.outbox_parked p
    SET by_topic = false, reason = NULL, advice = NULL, retry_at = NULL
    WHERE p.by_topic AND p.aggregatetype = $1
          AND EXISTS (
              SELECT FROM makegood.outbox_parked before
              WHERE before.aggregateid = p.aggregateid AND before.aggregatetype = p.aggregatetype AND before.seq < p.seq
                    AND NOT before.by_topic
          )
    RETURNING p.seq
)
UPDATE makegood.outbox_parked a
SET retry_at = NULL
WHERE a.retry_at IS NOT NULL AND a.by_topic AND a.aggregatetype = $1 AND a.seq NOT IN (SELECT seq FROM behind)
