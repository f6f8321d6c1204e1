-- makegood: decision_finish
UPDATE makegood.decisions d
SET finished_at = pg_catalog.clock_timestamp(), started_at = coalesce(d.started_at, pg_catalog.now()), held = NULL,
    outcome = n.outcome, detail = n.detail
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS n (quarantine_id, outcome, detail)
WHERE d.quarantine_id = n.quarantine_id AND d.kind = 'replay' AND d.finished_at IS NULL
