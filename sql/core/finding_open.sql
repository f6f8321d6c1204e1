-- makegood: finding_open
-- A finding that is open already only gets the values of today.
INSERT INTO makegood.findings AS f (job, business_key, kind, paid_at, expected, found, run_id)
SELECT $1, n.key, n.kind, n.paid_at, n.expected, n.found, $2
FROM unnest($3::text[], $4::text[], $5::timestamptz[], $6::jsonb[], $7::jsonb[]) n (key, kind, paid_at, expected, found)
ON CONFLICT (job, kind, business_key) WHERE resolved_at IS NULL DO UPDATE
    SET paid_at = excluded.paid_at, expected = excluded.expected, found = excluded.found,
        run_id = coalesce(f.run_id, excluded.run_id)
    WHERE (f.paid_at, f.expected, f.found, f.run_id)
          IS DISTINCT FROM (excluded.paid_at, excluded.expected, excluded.found, coalesce(f.run_id, excluded.run_id))
