-- makegood: status_workers
-- A daemon that has not been seen for thirty seconds is taken for gone, as in the view status, and so is one that
-- was seen ahead of the clock.
SELECT r.name AS route, w.host, w.pid, w.version, w.started_at, w.seen_at, w.state, w.state_since, w.reason, w.advice,
       w.partitions, w.seen_at BETWEEN now() - interval '30 seconds' AND now() + interval '30 seconds' AS alive
FROM makegood.workers w
JOIN makegood.routes r ON r.id = w.route_id
ORDER BY r.name, alive DESC, w.started_at, w.id
