-- makegood: finding_known
-- Which of some findings a person has dismissed as they are, whichever of the route's jobs had found them, by
-- their place in the list.
SELECT n.place
FROM unnest($2::text[], $3::text[], $4::jsonb[], $5::jsonb[])
    WITH ORDINALITY n (key, kind, expected, found, place)
WHERE EXISTS (
    SELECT
    FROM makegood.findings d
    WHERE d.job = ANY (ARRAY(SELECT name FROM makegood.jobs WHERE route_id = $1))
          AND d.business_key = n.key AND d.kind = n.kind AND d.resolution = 'dismissed'
          AND (d.expected, d.found) IS NOT DISTINCT FROM (n.expected, n.found)
)
