-- makegood: route_believes
-- Why the events of a route are believed without a look at their payments; null where they are not.
UPDATE makegood.routes SET believes = $2 WHERE id = $1 AND believes IS DISTINCT FROM $2
