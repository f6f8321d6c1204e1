-- makegood: explain
-- The function tells how a finding was resolved; by whom stands in the view. Asked row by row: there are few.
SELECT at, part, what, business_key,
       contents || coalesce((
           SELECT jsonb_build_object('resolvedBy', f.resolved_by)
           FROM makegood.reconcile_findings f
           WHERE f.finding = (contents ->> 'finding')::bigint AND part = 'finding' AND f.resolved_by IS NOT NULL
       ), '{}') AS contents
FROM makegood.explain($1)
-- Both are asked for themselves: the outbox may be elsewhere, and records are looked at.
WHERE part NOT IN ('outbox', 'kafka')
