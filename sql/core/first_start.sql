-- makegood: first_start
-- Whether the route $1 has never been free to apply anything. Positions do not tell: a route that is held
-- claims them too.
SELECT NOT EXISTS (SELECT FROM makegood.routes WHERE name = $1 AND begun_at IS NOT NULL) AS is_first
