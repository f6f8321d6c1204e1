-- makegood: decision_hold
-- Why replays wait: those of some records ($2), or all of the route's.
UPDATE makegood.decisions
SET held = $3
WHERE route_id = $1 AND kind = 'replay' AND finished_at IS NULL AND ($2::bigint[] IS NULL OR quarantine_id = ANY ($2))
      AND held IS DISTINCT FROM $3
