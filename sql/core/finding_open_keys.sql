-- makegood: finding_open_keys
-- Open findings in the order of their numbers: of payments without a purchase ($2), or the others.
SELECT id, business_key, kind
FROM makegood.findings
WHERE job = $1 AND resolved_at IS NULL AND (kind IN ('missing', 'gone')) = $2 AND id > $3
ORDER BY id
LIMIT $4
