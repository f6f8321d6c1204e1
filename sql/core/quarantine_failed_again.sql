-- makegood: quarantine_failed_again
-- A record that could not be applied once more, with its newest reason: a suspect ($6), or judged. What people asked for
-- and what is known to have failed counts as an attempt.
UPDATE makegood.quarantine q
SET attempts = q.attempts + CASE WHEN NOT $6 AND EXISTS (
        SELECT FROM makegood.decisions d
        WHERE d.quarantine_id = q.id AND d.kind = 'replay' AND d.finished_at IS NULL
    ) THEN 1 ELSE 0 END,
    reason = $2, sqlstate = $3, detail = $4, business_key = coalesce($5, q.business_key),
    suspect = CASE WHEN $6 THEN 'unproven' WHEN q.suspect = 'unverified' AND $2 IN ('no_payment', 'mismatch') THEN q.suspect END,
    judged_at = CASE WHEN $6 OR q.suspect = 'unverified' AND $2 IN ('no_payment', 'mismatch') THEN q.judged_at
                     ELSE coalesce(q.judged_at, pg_catalog.now()) END,
    fingerprint = $7, advice = $8
WHERE q.id = $1
