-- makegood: job_register
INSERT INTO makegood.jobs (name, route_id)
VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET route_id = excluded.route_id
