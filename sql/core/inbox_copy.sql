-- makegood: inbox_copy
-- Ids arrive sorted, so that two batches that share some cannot deadlock. A unique violation means that
-- another transaction took one in meanwhile; the caller starts over and sees it.
COPY makegood.inbox
    (event_id, "offset", event_at, partition, route_id, digest, outcome, business_key, reused_id, detail, origin, slot)
FROM STDIN (FORMAT binary)
