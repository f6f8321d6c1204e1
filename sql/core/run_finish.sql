-- makegood: run_finish
UPDATE makegood.runs
SET state = CASE WHEN $2::text IS NULL THEN 'done' ELSE 'failed' END, error = $2, held = $3,
    finished_at = clock_timestamp(), moved_at = clock_timestamp()
WHERE id = $1 AND state = 'running'
