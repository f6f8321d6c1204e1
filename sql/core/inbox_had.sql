-- makegood: inbox_had
-- Of some payments those that had their purchase, as far as this route's inbox knows. One look-up a key, as in
-- inbox_seen.
SELECT k.key
FROM pg_catalog.unnest($1::text[]) AS k (key)
WHERE EXISTS (
          SELECT FROM makegood.inbox i
          WHERE i.business_key = k.key AND i.route_id = $2 AND i.outcome <> 'ignored'
      )
      OR makegood.has_ended($2, 'had', makegood.ended_key(pg_catalog.convert_to(k.key, 'UTF8')))
