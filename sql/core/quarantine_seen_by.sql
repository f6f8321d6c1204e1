-- makegood: quarantine_seen_by
-- These were tried with the mapping $2 in vain, so that they are not tried with it again as if it were new.
UPDATE makegood.quarantine
SET fingerprint = $2
WHERE id = ANY ($1::bigint[]) AND fingerprint IS DISTINCT FROM $2 AND resolved_at IS NULL
