-- makegood: finding_newest_missing
-- Payments without a purchase that were found last and that nobody has tried in vain.
SELECT business_key
FROM makegood.findings
WHERE job = $1 AND kind = 'missing' AND resolved_at IS NULL AND quarantine_id IS NULL AND detail IS NULL
ORDER BY id DESC
LIMIT $2
