-- makegood: quarantine_put_payment
-- The event made from a payment that could not be applied, as a suspect ($11) or judged. One open case a payment: a
-- new reason takes the old one's place, what was judged before stays so, and a suspect that was proven is judged.
INSERT INTO makegood.quarantine AS q
    (route_id, topic, business_key, record_at, value, event_id, digest, reason, sqlstate, detail, suspect, judged_at,
     fingerprint, advice)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, CASE WHEN $11 THEN 'unproven' END,
        CASE WHEN NOT $11 THEN pg_catalog.now() END, $12, $13)
ON CONFLICT (route_id, business_key) WHERE resolved_at IS NULL AND topic_id IS NULL
    DO UPDATE SET reason = excluded.reason, sqlstate = excluded.sqlstate, detail = excluded.detail,
                  value = excluded.value, event_id = excluded.event_id, digest = excluded.digest,
                  suspect = CASE WHEN q.suspect = 'proven' AND q.fingerprint = excluded.fingerprint THEN NULL
                                 ELSE excluded.suspect END,
                  judged_at = coalesce(q.judged_at, excluded.judged_at,
                                       CASE WHEN q.suspect = 'proven' AND q.fingerprint = excluded.fingerprint
                                            THEN pg_catalog.now() END),
                  fingerprint = excluded.fingerprint, advice = excluded.advice
RETURNING id
