-- makegood: run_hold
-- The run waits for a person.
UPDATE makegood.runs SET state = 'held', held = $2, moved_at = clock_timestamp() WHERE id = $1 AND state = 'running'
