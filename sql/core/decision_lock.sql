-- makegood: decision_lock
-- Locks the replays that people asked for of some records until the transaction ends.
SELECT id
FROM makegood.decisions
WHERE quarantine_id = ANY ($1::bigint[]) AND kind = 'replay' AND finished_at IS NULL
ORDER BY id
FOR UPDATE
