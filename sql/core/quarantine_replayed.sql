-- makegood: quarantine_replayed
-- Records that were applied after all, under the id and the key that the inbox has them by.
UPDATE makegood.quarantine q
SET resolved_at = clock_timestamp(), resolution = 'replayed', attempts = q.attempts + 1, event_id = n.event_id,
    business_key = coalesce(q.business_key, n.business_key)
FROM unnest($1::bigint[], $2::uuid[], $3::text[]) AS n (id, event_id, business_key)
WHERE q.id = n.id
