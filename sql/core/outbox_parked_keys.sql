-- makegood: outbox_parked_keys
-- The keys that wait: later rows of theirs are set aside too.
SELECT DISTINCT aggregatetype, aggregateid
FROM makegood.outbox_parked
WHERE aggregateid IS NOT NULL AND makegood.outbox_shard(aggregateid, seq, $2) = $1
