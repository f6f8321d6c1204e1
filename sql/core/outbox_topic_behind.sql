-- makegood: outbox_topic_behind
-- Of the rows that wait for topic $1, those that are behind a row of their key that Kafka refused wait for that one.
UPDATE makegood.outbox_parked p
SET by_topic = false, reason = NULL, advice = NULL, retry_at = NULL
WHERE p.by_topic AND p.aggregatetype = $1
      AND EXISTS (
          SELECT FROM makegood.outbox_parked before
          WHERE before.aggregateid = p.aggregateid AND before.aggregatetype = p.aggregatetype AND before.seq < p.seq
                AND NOT before.by_topic AND before.retry_at IS NULL
      )
