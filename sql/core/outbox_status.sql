-- makegood: outbox_status
SELECT verdict, relays, shards::bigint, reason, advice, pending, pending_bytes,
       extract(epoch FROM oldest_age)::double precision AS oldest_age, in_flight, set_aside, refused, published, seen_at
FROM makegood.outbox_status
