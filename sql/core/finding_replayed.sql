-- makegood: finding_replayed
-- The payment whose event was replayed is missing its purchase no longer.
UPDATE makegood.findings f
SET resolved_at = clock_timestamp(),
    resolution = CASE n.outcome WHEN 'applied' THEN 'made_good' WHEN 'ignored' THEN 'ignored' ELSE 'healed' END
FROM unnest($1::bigint[], $2::text[]) AS n (quarantine_id, outcome)
WHERE f.quarantine_id = n.quarantine_id AND f.resolved_at IS NULL
