-- makegood: inbox_seen
-- Which of some event ids this route has taken in already, and what bytes they came with. One look-up
-- an id: `= ANY` reads the whole inbox while the statistics still take it for small.
SELECT i.event_id, i.digest
FROM unnest($1::uuid[]) AS wanted (event_id)
CROSS JOIN LATERAL (
    SELECT seen.event_id, seen.digest
    FROM makegood.inbox seen
    WHERE seen.event_id = wanted.event_id AND seen.route_id = $2
    LIMIT 1
) i
