-- makegood: conflicts
-- makegood: index enrolment_closures (closed_at, payment_id)
--
-- Closures that their payments do not bear out: not_refunded, no_payment, amount, currency. The contract is that of the
-- shipped conflicts.sql.
WITH page AS MATERIALIZED (
    (
        SELECT closed_at AS at, payment_id, amount, currency
        FROM enrolment_closures
        WHERE $5::text[] IS NULL AND closed_at < $3::timestamptz
              AND (closed_at, payment_id) > (coalesce($1::timestamptz, '-infinity'),
                                             coalesce($2::text, '00000000-0000-0000-0000-000000000000')::uuid)
        ORDER BY closed_at, payment_id
        LIMIT $4::bigint
    )
    UNION ALL
    (
        SELECT 'infinity', payment_id, amount, currency
        FROM enrolment_closures
        WHERE $5::text[] IS NULL AND $1::timestamptz = 'infinity' AND closed_at = 'infinity'
              AND ($2::text IS NULL OR payment_id > $2::text::uuid)
        ORDER BY payment_id
        LIMIT $4::bigint
    )
    UNION ALL
    SELECT closed_at, payment_id, amount, currency
    FROM enrolment_closures
    WHERE payment_id = ANY ($5::text[]::uuid[])
), judged AS (
    SELECT page.at, page.payment_id, page.amount AS found_amount, page.currency AS found_currency, p.status, p.amount, p.currency,
           CASE
               WHEN p.id IS NULL THEN 'no_payment'
               WHEN p.status::text <> ALL ($6::text[]) THEN 'not_refunded'
               WHEN page.amount <> p.amount THEN 'amount'
               WHEN page.currency <> p.currency THEN 'currency'
           END AS kind
    FROM page
    LEFT JOIN payments p ON p.id = page.payment_id
)
SELECT payment_id::text AS business_key, at, kind,
       CASE WHEN status IS NOT NULL THEN
           pg_catalog.jsonb_build_object('status', status, 'amount', amount::text, 'currency', currency)
       END AS expected,
       pg_catalog.jsonb_build_object('amount', found_amount::text, 'currency', found_currency) AS found,
       NULL::bigint AS compared
FROM judged
WHERE kind IS NOT NULL
UNION ALL
(
    SELECT payment_id::text, at, NULL, NULL, NULL, (SELECT count(*) FROM page)
    FROM page
    WHERE $5::text[] IS NULL
    ORDER BY at DESC, payment_id DESC
    LIMIT 1
)
