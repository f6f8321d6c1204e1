-- makegood: route_applied
-- How many events the route has turned into purchases: one more shows that the world works.
SELECT coalesce(sum(c.applied), 0)::bigint
FROM makegood.consumer_positions c
JOIN makegood.routes r ON r.name = c.route
WHERE r.id = $1
