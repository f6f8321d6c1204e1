-- makegood: conflicts
--
-- Purchases that contradict what was paid for. The contract is that of the shipped conflicts.sql.
WITH asked AS MATERIALIZED (
    SELECT (key::jsonb ->> 0)::uuid AS payment_id, (key::jsonb ->> 1)::uuid AS course_id
    FROM pg_catalog.unnest($5::text[]) key
), pair AS NOT MATERIALIZED (
    SELECT coalesce(greatest(p.updated_at, s.purchased_at), 'infinity') AS at, s.payment_id, s.course_id, p.status,
           s.student_id AS found_student, s.amount AS found_amount, s.currency AS found_currency,
           p.student_id, i.amount, p.currency
    FROM course_purchases s
    LEFT JOIN payments p ON p.id = s.payment_id
    LEFT JOIN payment_items i ON i.payment_id = s.payment_id AND i.course_id = s.course_id
), page AS MATERIALIZED (
    (
        SELECT *
        FROM pair
        WHERE $5::text[] IS NULL AND at < $3::timestamptz
              AND (at, payment_id, course_id)
                  > (coalesce($1::timestamptz, '-infinity'),
                     coalesce(($2::text::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000'),
                     coalesce(($2::text::jsonb ->> 1)::uuid, '00000000-0000-0000-0000-000000000000'))
        ORDER BY at, payment_id, course_id
        LIMIT $4::bigint
    )
    UNION ALL
    (
        SELECT *
        FROM pair
        WHERE $5::text[] IS NULL AND $1::timestamptz = 'infinity' AND at = 'infinity'
              AND ($2::text IS NULL
                   OR (payment_id, course_id) > (($2::text::jsonb ->> 0)::uuid, ($2::text::jsonb ->> 1)::uuid))
        ORDER BY payment_id, course_id
        LIMIT $4::bigint
    )
    UNION ALL
    SELECT pair.*
    FROM pair
    JOIN asked USING (payment_id, course_id)
), judged AS (
    SELECT *,
           CASE
               WHEN status IS NULL THEN 'no_payment'
               WHEN status::text = ANY ($7::text[]) THEN 'refunded'
               WHEN status::text <> ALL ($6::text[]) THEN 'not_paid'
               WHEN amount IS NULL THEN 'course'
               WHEN found_amount <> amount THEN 'amount'
               WHEN found_currency <> currency THEN 'currency'
               WHEN found_student <> student_id THEN 'student'
           END AS kind
    FROM page
)
SELECT pg_catalog.jsonb_build_array(payment_id::text, course_id::text)::text AS business_key, at, kind,
       CASE WHEN status IS NOT NULL THEN
           pg_catalog.jsonb_build_object('status', status, 'amount', amount::text, 'currency', currency, 'student', student_id)
       END AS expected,
       pg_catalog.jsonb_build_object('amount', found_amount::text, 'currency', found_currency, 'student', found_student) AS found,
       NULL::bigint AS compared
FROM judged
WHERE kind IS NOT NULL
UNION ALL
(
    SELECT pg_catalog.jsonb_build_array(payment_id::text, course_id::text)::text, at, NULL, NULL, NULL,
           (SELECT count(*) FROM page)
    FROM page
    WHERE $5::text[] IS NULL
    ORDER BY at DESC, payment_id DESC, course_id DESC
    LIMIT 1
)
