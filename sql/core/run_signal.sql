-- makegood: run_signal
INSERT INTO makegood.runs (job, requested_by, requested_via)
VALUES ($1, $2, 'signal')
ON CONFLICT (coalesce(job, ''), coalesce(since, '-infinity'), coalesce(until, 'infinity'), dry_run)
    WHERE state = 'requested' AND approved_at IS NULL DO NOTHING
