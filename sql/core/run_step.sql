-- makegood: run_step
-- One step of a run, in the transaction that did what it tells of.
UPDATE makegood.runs
SET phase = $2, place_at = $3, place_key = $4, compared = compared + $5, missing = missing + $6, made_good = made_good + $7,
    gone = gone + $8, quarantined = quarantined + $9, conflicts = conflicts + $10,
    sample = CASE WHEN $11::jsonb IS NULL THEN sample ELSE coalesce(sample, '[]') || $11 END,
    statuses = coalesce($12::jsonb, statuses), held = NULL, moved_at = clock_timestamp()
WHERE id = $1 AND state = 'running'
