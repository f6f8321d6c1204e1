-- makegood: payments
-- makegood: index payments (updated_at, id, status)
--
-- What a refund is held against: its payment must be refunded, and whole. The contract is that of the shipped payments.sql.
SELECT id::text AS business_key, updated_at AS at,
       CASE WHEN status::text = ANY ($6::text[]) THEN 'paid' ELSE 'not_paid' END AS state,
       pg_catalog.jsonb_build_object('status', status, 'amount', amount::text, 'currency', currency) AS terms,
       CASE WHEN status::text = ANY ($6::text[]) THEN
           pg_catalog.jsonb_build_object(
               'eventType', 'REFUND_CONFIRMED',
               'occurredAt', CASE WHEN updated_at BETWEEN '0001-01-01Z' AND '9999-12-30Z' THEN
                   pg_catalog.to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
               END,
               'data', pg_catalog.jsonb_build_object('paymentId', id, 'amount', amount::text, 'currency', currency)
           )
       END AS event
FROM (
    (
        SELECT id, amount, currency, status, updated_at
        FROM payments
        WHERE $5::text[] IS NULL AND updated_at < $3::timestamptz
              AND (updated_at, id) > (coalesce($1::timestamptz, '-infinity'),
                                      coalesce($2::text, '00000000-0000-0000-0000-000000000000')::uuid)
        ORDER BY updated_at, id
        LIMIT $4::bigint
    )
    UNION ALL
    (
        SELECT id, amount, currency, status, updated_at
        FROM payments
        WHERE $5::text[] IS NULL AND $1::timestamptz = 'infinity' AND (updated_at IS NULL OR updated_at = 'infinity')
              AND ($2::text IS NULL OR id > $2::text::uuid)
        ORDER BY id
        LIMIT $4::bigint
    )
    UNION ALL
    SELECT id, amount, currency, status, updated_at
    FROM payments
    WHERE id = ANY ($5::text[]::uuid[])
) page
ORDER BY updated_at, id
