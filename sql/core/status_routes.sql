-- makegood: status_routes
SELECT route, topic, consumer_group, seen_at, applied, already, conflict, ignored, duplicate, quarantined, other_type,
       paid_not_purchased, oldest_not_purchased_at, believes
FROM makegood.status
ORDER BY route
