-- makegood: outbox_status
SELECT shards::bigint, reason, advice, pending, pending_bytes,
       extract(epoch FROM oldest_age)::double precision AS oldest_age, in_flight, set_aside, refused, published, seen_at,
       extract(epoch FROM clock_timestamp() - seen_at)::double precision AS seen_age
FROM makegood.outbox_status
