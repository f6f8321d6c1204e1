-- makegood: finding_to_make_good
-- The next open ones of a run, in the order of time and key; $7 also takes those that were refused before. One
-- whose own time is still to come, or infinite, is as old as the finding.
SELECT business_key, paid_at, quarantine_id IS NOT NULL AS refused
FROM makegood.findings
WHERE job = $1 AND kind = 'missing' AND resolved_at IS NULL
      AND ($2::timestamptz IS NULL OR paid_at >= $2)
      AND (paid_at < $3
           OR (paid_at > clock_timestamp() AND (first_seen_at <= $3 OR first_seen_at > clock_timestamp())))
      AND ($4::timestamptz IS NULL OR (paid_at, business_key) > ($4, $5::text))
      AND ($7 OR quarantine_id IS NULL)
ORDER BY paid_at, business_key
LIMIT $6
