-- makegood: quarantine_made_good
-- Payments that have their purchase after all need no decision any more. A row that somebody else has at hand is
-- closed by them, or by the next look.
UPDATE makegood.quarantine
SET resolved_at = pg_catalog.now(), resolution = 'made_good', suspect = NULL
WHERE id IN (
    SELECT q.id
    FROM makegood.quarantine q
    WHERE q.route_id = $1 AND q.business_key = ANY ($2::text[]) AND q.resolved_at IS NULL
    ORDER BY q.id
    FOR UPDATE SKIP LOCKED
)
