-- makegood: run_relieve
-- A run of the schedule that the brake holds asks nobody any more once all that it found has its purchase.
UPDATE makegood.runs r
SET state = 'done', held = NULL, finished_at = clock_timestamp(), moved_at = clock_timestamp()
WHERE r.job = $1 AND r.state = 'held' AND r.requested_via = 'schedule'
      AND NOT EXISTS (
          SELECT FROM makegood.findings f
          WHERE f.job = $1 AND f.run_id = r.id AND f.kind = 'missing' AND f.resolved_at IS NULL
      )
RETURNING r.id
