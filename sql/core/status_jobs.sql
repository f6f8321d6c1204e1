-- makegood: status_jobs
-- The run at hand is the oldest open one; a held one waits for a person and stands in nobody's way.
SELECT j.name AS job, r.name AS route, j.looked_at, j.notice, j.statuses_say, done.finished_at AS succeeded_at,
       CASE WHEN isfinite(done.finished_at) AND isfinite(done.started_at) THEN
           extract(epoch FROM done.finished_at - done.started_at)::float8
       END AS took, held.runs AS held_runs, ended.error AS failed, at_hand.run, at_hand.phase,
       at_hand.compared, at_hand.missing, at_hand.made_good, at_hand.place_at, at_hand.since,
       at_hand.until, at_hand.held AS waits, coalesce(at_hand.moved_at, at_hand.started_at) AS moved_at, asked.since AS asked_at
FROM makegood.jobs j
JOIN makegood.routes r ON r.id = j.route_id
LEFT JOIN LATERAL (
    SELECT d.started_at, d.finished_at
    FROM makegood.reconcile_runs d
    WHERE d.job = j.name AND d.state = 'done' AND NOT d.dry_run
    ORDER BY d.run DESC
    LIMIT 1
) done ON true
LEFT JOIN LATERAL (
    SELECT e.error
    FROM makegood.reconcile_runs e
    WHERE e.job = j.name AND e.state IN ('done', 'failed') AND NOT e.dry_run
    ORDER BY e.run DESC
    LIMIT 1
) ended ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS runs
    FROM makegood.reconcile_runs h
    WHERE h.job = j.name AND h.state = 'held'
) held
CROSS JOIN LATERAL (
    SELECT min(q.requested_at) AS since
    FROM makegood.reconcile_runs q
    WHERE q.job = j.name AND q.state = 'requested'
) asked
LEFT JOIN LATERAL (
    SELECT a.*
    FROM makegood.reconcile_runs a
    WHERE a.job = j.name AND a.state = 'running'
    ORDER BY a.run
    LIMIT 1
) at_hand ON true
ORDER BY j.name
