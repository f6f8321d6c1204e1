-- makegood: quarantine_made_good
-- Payments that have their purchase after all need no decision any more.
UPDATE makegood.quarantine
SET resolved_at = now(), resolution = 'made_good'
WHERE route_id = $1 AND business_key = ANY ($2::text[]) AND resolved_at IS NULL
