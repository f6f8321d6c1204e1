-- makegood: route_register
-- A route that is known uses up no number: there are 32,767.
WITH known AS (
    UPDATE makegood.routes
    SET topic = $2, consumer_group = $3, updated_at = now()
    WHERE name = $1
    RETURNING id
), made AS (
    INSERT INTO makegood.routes (name, topic, consumer_group)
    SELECT $1, $2, $3
    WHERE NOT EXISTS (SELECT FROM known)
    ON CONFLICT (name) DO UPDATE SET topic = excluded.topic, consumer_group = excluded.consumer_group, updated_at = now()
    RETURNING id
)
SELECT id FROM known
UNION ALL
SELECT id FROM made
