-- makegood: accept_open
-- Whether somebody lets this route's bad records pass, and whether that has begun. One that was not needed
-- soon, because the route was mended meanwhile, is no answer to the next bad stretch.
SELECT started_at IS NOT NULL
FROM makegood.decisions
WHERE route_id = $1 AND kind = 'accept' AND finished_at IS NULL
      AND (started_at IS NOT NULL OR decided_at BETWEEN now() - interval '1 hour' AND now() + interval '1 minute')
