-- makegood: route_begin
-- From now on the route may apply records; that it ever might is never unsaid.
UPDATE makegood.routes SET begun_at = now() WHERE id = $1 AND begun_at IS NULL
