-- makegood: doubted_judge
-- For a minute a payment may only be late; a time ahead of the clock is none. A row that somebody else has at hand is
-- judged later.
UPDATE makegood.quarantine
SET suspect = NULL, judged_at = pg_catalog.now()
WHERE id IN (
    SELECT q.id
    FROM makegood.quarantine q
    WHERE q.route_id = $1 AND q.suspect = 'unverified' AND q.resolved_at IS NULL
          AND q.quarantined_at NOT BETWEEN pg_catalog.now() - interval '1 minute' AND pg_catalog.now()
    ORDER BY q.id
    LIMIT 10000
    FOR UPDATE SKIP LOCKED
)
