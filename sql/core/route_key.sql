-- makegood: route_key
SELECT id, topic FROM makegood.routes WHERE name = $1
