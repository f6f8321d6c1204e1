-- makegood: inbox_insert
-- As inbox_copy, for a connection through a pooler in transaction mode, each column as an array.
INSERT INTO makegood.inbox
    (event_id, "offset", event_at, partition, route_id, digest, outcome, business_key, reused_id, detail, origin, slot)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::integer[], $5::smallint[], $6::bytea[],
                     $7::text[], $8::text[], $9::uuid[], $10::text[], $11::text[], $12::smallint[])
