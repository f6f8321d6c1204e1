-- makegood: inbox_reached
-- Where Kafka may still deliver a record of turn $1, or nobody can tell. A log that nobody has looked at for $2 seconds,
-- which is longer than events are kept, is of a route that was given up. A time that is yet to come is none.
SELECT r.name AS route, r.topic, e.partition, e.last_offset, w.log_start,
       extract(epoch FROM now() - w.log_seen_at)::double precision AS unseen
FROM makegood.inbox_reach e
JOIN makegood.routes r ON r.id = e.route_id
JOIN makegood.consumer_positions w
    ON w.consumer_group = r.consumer_group AND w.topic = r.topic AND w.partition = e.partition AND w.is_current
WHERE e.turn = $1 AND (w.log_seen_at < now() - make_interval(secs => $2)) IS NOT TRUE
      AND (e.last_offset >= w.log_start AND e.last_offset < w.log_end
           OR (w.log_seen_at > now() - interval '1 hour') IS NOT TRUE)
ORDER BY w.log_seen_at, r.name, e.partition
LIMIT 1
