-- makegood: status_ignored
SELECT r.name AS route, t.event_type, t.records, t.last_at
FROM makegood.ignored_types t
JOIN makegood.routes r ON r.id = t.route_id
ORDER BY r.name, t.records DESC, t.event_type
