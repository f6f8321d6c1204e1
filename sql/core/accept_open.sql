-- makegood: accept_open
-- Whether somebody lets this route's bad records pass, and whether that has begun.
SELECT started_at IS NOT NULL FROM makegood.decisions WHERE route_id = $1 AND kind = 'accept' AND finished_at IS NULL
