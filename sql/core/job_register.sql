-- makegood: job_register
-- A job that is given another route has compared nothing of that one yet.
INSERT INTO makegood.jobs AS j (name, route_id)
VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET
    route_id = excluded.route_id,
    cursor_at = CASE WHEN j.route_id = excluded.route_id THEN j.cursor_at END,
    swept_at = CASE WHEN j.route_id = excluded.route_id THEN j.swept_at END,
    scheduled_at = CASE WHEN j.route_id = excluded.route_id THEN j.scheduled_at END,
    look_at = CASE WHEN j.route_id = excluded.route_id THEN j.look_at END,
    looked_at = CASE WHEN j.route_id = excluded.route_id THEN j.looked_at END,
    statuses = CASE WHEN j.route_id = excluded.route_id THEN j.statuses ELSE '{}' END,
    statuses_say = CASE WHEN j.route_id = excluded.route_id THEN j.statuses_say END
