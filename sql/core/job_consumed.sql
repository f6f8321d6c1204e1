-- makegood: job_consumed
-- What the route's consumer has come to while records wait for it: the time of the last record it
-- applied, on the partition that is furthest back. 1970 where it has applied none; null without a backlog.
-- A partition that has neither moved nor been claimed for $2 seconds is nobody's backlog: it has no leader, say, or its next
-- record cannot be read, and what it holds is made good like what is lost. The business key makes that safe.
SELECT min(CASE WHEN p.anchor_timestamp_ms > 0
                THEN to_timestamp(p.anchor_timestamp_ms::double precision / 1000::double precision)
                ELSE to_timestamp(0::double precision) END) AS consumed_at
FROM makegood.routes r
JOIN makegood.consumer_positions c ON c.route = r.name AND c.is_current AND c.lag > 0
JOIN makegood.positions p
    ON p.consumer_group = c.consumer_group AND p.topic_id = c.topic_id AND p.partition = c.partition AND p.step = c.step
WHERE r.id = $1 AND greatest(c.progress_at, c.written_at) > now() - make_interval(secs => $2)
