-- makegood: inbox_note_keys
-- Notes the rows of slot $2, those of turn $1, in sorted runs of a hundred keys. A payment has one event of its own and
-- may have many that told of it again.
INSERT INTO makegood.inbox_ended (turn, route_id, what, first_key, keys)
SELECT $1, r.route_id, r.what, (array_agg(r.key ORDER BY r.key))[1], array_agg(r.key ORDER BY r.key)
FROM (
    SELECT k.route_id, k.what, k.key, (row_number() OVER (PARTITION BY k.route_id, k.what ORDER BY k.key) - 1) / 100 AS run
    FROM (
        SELECT i.route_id, 'event' AS what, makegood.ended_key(uuid_send(i.event_id) || i.digest) AS key
        FROM makegood.inbox i
        WHERE i.slot = $2
        UNION ALL
        SELECT DISTINCT i.route_id, CASE i.outcome WHEN 'ignored' THEN 'ignored' ELSE 'had' END,
               makegood.ended_key(convert_to(i.business_key, 'UTF8'))
        FROM makegood.inbox i
        WHERE i.slot = $2 AND i.business_key IS NOT NULL AND (i.outcome <> 'ignored' OR i.origin = 'reconcile')
    ) k
) r
GROUP BY r.route_id, r.what, r.run
