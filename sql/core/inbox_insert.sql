-- makegood: inbox_insert
-- Ids arrive sorted, so that two batches that share some cannot deadlock. Fewer rows than ids means
-- that another transaction took one in meanwhile; the caller starts over and sees it.
INSERT INTO makegood.inbox
    (event_id, "offset", event_at, partition, route_id, digest, outcome, business_key, reused_id, detail, origin)
SELECT e.event_id, e."offset", e.event_at, e.partition, $1, e.digest, e.outcome, e.business_key, e.reused_id, e.detail,
       CASE WHEN e.partition IS NULL THEN 'reconcile' END
FROM unnest($2::uuid[], $3::bigint[], $4::timestamptz[], $5::integer[], $6::bytea[], $7::text[], $8::text[],
            $9::uuid[], $10::text[])
    AS e (event_id, "offset", event_at, partition, digest, outcome, business_key, reused_id, detail)
ON CONFLICT DO NOTHING
