-- makegood: suspect_waiting
-- How many suspects of a mapping were never judged and are not proven, and what the oldest was refused for.
SELECT pg_catalog.count(*) AS waiting,
       (pg_catalog.array_agg(w.detail ORDER BY w.id))[1] AS detail,
       (pg_catalog.array_agg(w.advice ORDER BY w.id))[1] AS advice
FROM (
    SELECT q.id, q.detail, q.advice
    FROM makegood.quarantine q
    WHERE q.route_id = $1 AND q.suspect = 'unproven' AND q.judged_at IS NULL AND q.resolved_at IS NULL AND q.fingerprint = $2
    ORDER BY q.id
    LIMIT 1000
) w
