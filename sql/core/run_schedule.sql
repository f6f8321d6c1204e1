-- makegood: run_schedule
-- Asks for a run of the schedule, unless one of the job is open: a held one waits for a person first.
WITH asked AS (
    INSERT INTO makegood.runs (job, since, until, requested_by, requested_via, reason)
    SELECT $1, $2, $3, $4, 'schedule', $5
    WHERE NOT EXISTS (SELECT FROM makegood.runs WHERE job = $1 AND state IN ('requested', 'running', 'held'))
    ON CONFLICT (coalesce(job, ''), coalesce(since, '-infinity'), coalesce(until, 'infinity'), dry_run)
        WHERE state = 'requested' AND approved_at IS NULL DO NOTHING
    RETURNING id
)
UPDATE makegood.jobs
-- Not the time of this statement: a gap found since then is one that the run knows nothing of.
SET scheduled_at = $6
FROM asked
WHERE name = $1
RETURNING asked.id
