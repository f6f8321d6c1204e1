-- makegood: finding_list
-- What a run found or resolved; without a run what is open.
SELECT finding, job, payment, kind, paid_at, expected, found, detail, run, first_seen_at, resolved_at, resolution,
       resolved_by, note, quarantine_id
FROM makegood.reconcile_findings
WHERE CASE WHEN $1::bigint IS NULL THEN resolved_at IS NULL ELSE run = $1 OR resolved_run = $1 END
ORDER BY finding
LIMIT $2
