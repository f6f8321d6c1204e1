-- makegood: decision_take
-- Locks replays and their records until the transaction ends; those that somebody else has at hand are left out.
SELECT d.id, d.quarantine_id
FROM makegood.decisions d
JOIN makegood.quarantine q ON q.id = d.quarantine_id
WHERE d.id = ANY ($1::bigint[]) AND d.finished_at IS NULL
ORDER BY d.id
FOR UPDATE OF d, q SKIP LOCKED
