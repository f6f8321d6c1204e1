-- makegood: quarantine_take
-- Locks cases until the transaction ends; those that somebody else has at hand are left out.
SELECT id
FROM makegood.quarantine
WHERE id = ANY ($1::bigint[])
ORDER BY id
FOR UPDATE SKIP LOCKED
