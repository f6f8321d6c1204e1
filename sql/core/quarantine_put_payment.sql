-- makegood: quarantine_put_payment
-- The event made from a payment that could not be applied. One open case a payment: a new reason
-- takes the old one's place.
INSERT INTO makegood.quarantine AS q
    (route_id, topic, business_key, record_at, value, event_id, digest, reason, sqlstate, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (route_id, business_key) WHERE resolved_at IS NULL AND topic_id IS NULL
    DO UPDATE SET reason = excluded.reason, sqlstate = excluded.sqlstate, detail = excluded.detail,
                  value = excluded.value, event_id = excluded.event_id, digest = excluded.digest
RETURNING id
