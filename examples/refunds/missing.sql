-- makegood: missing
-- makegood: index payments (updated_at, id, status)
--
-- Payments that were refunded and whose enrolment is still open. The contract is that of the shipped missing.sql.
WITH given_back AS NOT MATERIALIZED (
    SELECT updated_at AS at, id, amount, currency
    FROM payments
    WHERE status::text = ANY ($6::text[])
), page AS MATERIALIZED (
    (
        SELECT at, id, amount, currency
        FROM given_back
        WHERE $5::text[] IS NULL AND at < $3::timestamptz
              AND (at, id) > (coalesce($1::timestamptz, '-infinity'),
                              coalesce($2::text, '00000000-0000-0000-0000-000000000000')::uuid)
        ORDER BY at, id
        LIMIT $4::bigint
    )
    UNION ALL
    (
        SELECT 'infinity', id, amount, currency
        FROM given_back
        WHERE $5::text[] IS NULL AND $1::timestamptz = 'infinity' AND (at IS NULL OR at = 'infinity')
              AND ($2::text IS NULL OR id > $2::text::uuid)
        ORDER BY id
        LIMIT $4::bigint
    )
    UNION ALL
    SELECT at, id, amount, currency
    FROM given_back
    WHERE id = ANY ($5::text[]::uuid[])
)
SELECT id::text AS business_key, at AS paid_at,
       pg_catalog.jsonb_build_object(
           'eventType', 'REFUND_CONFIRMED',
           'occurredAt', CASE WHEN at BETWEEN '0001-01-01Z' AND '9999-12-30Z' THEN
               pg_catalog.to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
           END,
           'data', pg_catalog.jsonb_build_object('paymentId', id, 'amount', amount::text, 'currency', currency)
       ) AS event,
       NULL::bigint AS compared
FROM page
WHERE NOT EXISTS (SELECT FROM enrolment_closures c WHERE c.payment_id = page.id)
UNION ALL
(
    SELECT id::text, at, NULL, (SELECT count(*) FROM page)
    FROM page
    WHERE $5::text[] IS NULL
    ORDER BY at DESC, id DESC
    LIMIT 1
)
