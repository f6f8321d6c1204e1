-- makegood: status_routes
SELECT route, topic, consumer_group, seen_at, applied, already, conflict, ignored, duplicate, quarantined, other_type
FROM makegood.status
ORDER BY route
