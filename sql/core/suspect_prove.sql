-- makegood: suspect_prove
-- Something was applied by the mapping that had refused these before: one more refusal of theirs is their own fault.
-- A row that somebody else has at hand is being tried at this moment.
UPDATE makegood.quarantine
SET suspect = 'proven'
WHERE id IN (
    SELECT q.id
    FROM makegood.quarantine q
    WHERE q.id = ANY ($1::bigint[]) AND q.suspect = 'unproven' AND q.resolved_at IS NULL
    ORDER BY q.id
    FOR UPDATE SKIP LOCKED
)
