-- makegood: route_register
INSERT INTO makegood.routes (name, topic, consumer_group)
VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET topic = excluded.topic, consumer_group = excluded.consumer_group, updated_at = now()
RETURNING id
