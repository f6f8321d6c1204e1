-- makegood: accept_open
-- Whether somebody lets what this route's database refuses into quarantine without a proof. It begins with the first
-- record that it is needed for; one that was not needed within an hour, because the route was mended meanwhile, is no
-- answer to what comes then.
UPDATE makegood.decisions
SET started_at = coalesce(started_at, pg_catalog.clock_timestamp())
WHERE route_id = $1 AND kind = 'accept' AND finished_at IS NULL
      AND (started_at IS NOT NULL OR decided_at BETWEEN pg_catalog.now() - interval '1 hour' AND pg_catalog.now() + interval '1 minute')
RETURNING id
