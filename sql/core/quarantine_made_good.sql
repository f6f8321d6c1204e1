-- makegood: quarantine_made_good
-- Payments that have their purchase after all need no decision any more. A row that somebody else has at hand is
-- closed by them, or by the next look. Each key is looked up by its index, however many cases are open, and though the
-- plan was made while there were none: openness is asked of a column that
-- no index of open cases has, so that the planner cannot take one of those and read all of it.
UPDATE makegood.quarantine
SET resolved_at = pg_catalog.now(), resolution = 'made_good', suspect = NULL
WHERE id IN (
    SELECT q.id
    FROM makegood.quarantine q
    WHERE q.resolution IS NULL AND q.id = ANY (ARRAY(
        SELECT known.id
        FROM unnest($2::text[]) AS purchased (key)
        CROSS JOIN LATERAL (
            SELECT o.id, o.route_id, o.resolution
            FROM makegood.quarantine o
            WHERE o.business_key = purchased.key
            OFFSET 0
        ) known
        WHERE known.route_id = $1 AND known.resolution IS NULL
    ))
    ORDER BY q.id
    FOR UPDATE SKIP LOCKED
)
