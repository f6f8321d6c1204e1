-- makegood: finding_close
UPDATE makegood.findings
SET resolved_at = now(), resolution = $3, resolved_run_id = $4
WHERE job = $1 AND business_key = ANY ($5::text[]) AND kind = ANY ($2::text[]) AND resolved_at IS NULL
