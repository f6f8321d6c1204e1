-- makegood: decision_finish
UPDATE makegood.decisions d
SET finished_at = clock_timestamp(), started_at = coalesce(d.started_at, now()), held = NULL, outcome = n.outcome,
    detail = n.detail
FROM unnest($2::bigint[], $3::text[], $4::text[]) AS n (quarantine_id, outcome, detail)
WHERE d.id = ANY ($1::bigint[]) AND d.quarantine_id = n.quarantine_id AND d.finished_at IS NULL
RETURNING d.id
