-- makegood: run_trim
-- Runs of the schedule that found nothing are many and tell nothing after a week.
DELETE FROM makegood.runs
WHERE job = $1 AND requested_via = 'schedule' AND state = 'done' AND finished_at < now() - interval '7 days'
      AND missing = 0 AND gone = 0 AND conflicts = 0 AND quarantined = 0
