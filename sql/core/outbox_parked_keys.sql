-- makegood: outbox_parked_keys
-- The keys that wait behind a row that Kafka refused: later rows of theirs are parked too.
SELECT DISTINCT aggregatetype, aggregateid
FROM makegood.outbox_parked
WHERE aggregateid IS NOT NULL AND NOT by_topic AND makegood.outbox_shard(aggregateid, seq, $2) = $1
