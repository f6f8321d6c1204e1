-- makegood: test_event_read
SELECT outcome, mapping_outcome, detail FROM makegood.test_events WHERE id = $1 AND finished_at IS NOT NULL
