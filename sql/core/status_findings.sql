-- makegood: status_findings
SELECT job, kind, count(*) AS findings
FROM makegood.reconcile_findings
WHERE resolved_at IS NULL
GROUP BY job, kind
ORDER BY job, kind
