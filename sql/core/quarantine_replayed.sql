-- makegood: quarantine_replayed
-- Records that were applied after all, under the id and the key that the inbox has them by. Where nobody asked for it
-- they are made good.
UPDATE makegood.quarantine q
SET resolved_at = pg_catalog.clock_timestamp(), attempts = q.attempts + n.asked, event_id = n.event_id, suspect = NULL,
    business_key = coalesce(n.business_key, q.business_key),
    resolution = CASE n.asked WHEN 1 THEN 'replayed' ELSE 'made_good' END
FROM (
    SELECT u.id, u.event_id, u.business_key, CASE WHEN EXISTS (
            SELECT FROM makegood.decisions d
            WHERE d.quarantine_id = u.id AND d.kind = 'replay' AND d.finished_at IS NULL
        ) THEN 1 ELSE 0 END AS asked
    FROM unnest($1::bigint[], $2::uuid[], $3::text[]) AS u (id, event_id, business_key)
) n
WHERE q.id = n.id
