-- makegood: run_list
SELECT run, job, requested_by, requested_via, requested_at, since, until, dry_run, state, phase, compared, missing, made_good,
       gone, quarantined, conflicts, held, approved_by, place_at, started_at, finished_at, error, sample, reason
FROM makegood.reconcile_runs
ORDER BY run DESC
LIMIT $1
