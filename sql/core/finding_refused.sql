-- makegood: finding_refused
-- Why the payment could not be made good, and where its event is ($3; null: where it was); the finding stays open.
UPDATE makegood.findings
SET quarantine_id = coalesce($3, quarantine_id), detail = $4
WHERE job = $1 AND business_key = $2 AND kind = 'missing' AND resolved_at IS NULL
