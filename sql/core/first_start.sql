-- makegood: first_start
-- Whether the route $1 has never read anything: its group has no position in a topic of its name, and its
-- inbox is empty.
SELECT NOT EXISTS (
           SELECT
           FROM makegood.positions p
           JOIN makegood.routes r ON r.consumer_group = p.consumer_group AND r.topic = p.topic
           WHERE r.name = $1
       )
       AND NOT EXISTS (
           SELECT FROM makegood.inbox i JOIN makegood.routes r ON r.id = i.route_id WHERE r.name = $1
       ) AS is_first
