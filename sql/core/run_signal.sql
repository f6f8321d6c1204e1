-- makegood: run_signal
INSERT INTO makegood.runs (job, requested_by, requested_via)
VALUES ($1, $2, 'signal')
ON CONFLICT DO NOTHING
