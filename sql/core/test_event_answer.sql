-- makegood: test_event_answer
UPDATE makegood.test_events
SET finished_at = now(), outcome = $2, mapping_outcome = $3, detail = $4, partition = $5, "offset" = $6
WHERE id = $1 AND finished_at IS NULL
