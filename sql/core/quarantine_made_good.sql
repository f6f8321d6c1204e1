-- makegood: quarantine_made_good
-- Payments that have their purchase after all need no decision any more. A row that somebody else has at hand is
-- closed by them, or by the next look. Each key is looked up by its index, however many cases are open: OFFSET, and a
-- route that no index can begin with, keep the planner from anything else while it knows nothing of the table.
UPDATE makegood.quarantine
SET resolved_at = pg_catalog.now(), resolution = 'made_good', suspect = NULL
WHERE id IN (
    SELECT q.id
    FROM makegood.quarantine q
    WHERE q.resolved_at IS NULL AND q.id = ANY (ARRAY(
        SELECT open.id
        FROM unnest($2::text[]) AS purchased (key)
        CROSS JOIN LATERAL (
            SELECT o.id
            FROM makegood.quarantine o
            WHERE o.business_key = purchased.key AND o.route_id IS NOT DISTINCT FROM $1 AND o.resolved_at IS NULL
            OFFSET 0
        ) open
    ))
    ORDER BY q.id
    FOR UPDATE SKIP LOCKED
)
