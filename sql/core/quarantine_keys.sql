-- makegood: quarantine_keys
-- Judged records whose payment is known, after the number $2: it may have its purchase by now.
SELECT id, business_key
FROM makegood.quarantine
WHERE route_id = $1 AND id > $2 AND resolved_at IS NULL AND judged_at IS NOT NULL AND business_key IS NOT NULL
ORDER BY id
LIMIT $3
