-- makegood: run_take
-- The run to go on with: the one that is running, whoever began it, else the oldest that was asked for. One for which
-- nobody named an end ends $3 seconds before it is taken: by this statement's clock, for an earlier one may lie before
-- the request, and what was written just before that would be missed.
UPDATE makegood.runs r
SET state = 'running', job = $1, runner = $2, started_at = least(r.started_at, clock_timestamp()),
    until = least(coalesce(r.until, clock_timestamp() - make_interval(secs => $3)), clock_timestamp())
FROM (
    SELECT id
    FROM makegood.runs
    WHERE (job = $1 OR job IS NULL) AND state IN ('requested', 'running')
    ORDER BY state <> 'running', id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
) next
WHERE r.id = next.id
RETURNING r.id, r.since, r.until, r.dry_run, r.requested_via, r.phase, r.place_at, r.place_key, r.compared, r.missing,
          r.approved_at IS NOT NULL AS approved, r.held, r.started_at, r.statuses,
          coalesce(jsonb_array_length(r.sample), 0) AS sampled
