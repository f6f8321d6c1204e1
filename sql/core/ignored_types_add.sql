-- makegood: ignored_types_add
-- Whoever writes the topic chooses the types, so only so many are told apart.
INSERT INTO makegood.ignored_types AS known (route_id, event_type, records)
SELECT $1, come.event_type, sum(come.records)
FROM (
    SELECT CASE WHEN a.event_type IN (SELECT event_type FROM makegood.ignored_types WHERE route_id = $1)
                     OR (SELECT count(*) FROM makegood.ignored_types WHERE route_id = $1) < 100
                THEN a.event_type ELSE '(others)' END AS event_type, a.records
    FROM unnest($2::text[], $3::bigint[]) AS a(event_type, records)
) come
GROUP BY come.event_type
ON CONFLICT (route_id, event_type) DO UPDATE SET records = known.records + excluded.records, last_at = now()
