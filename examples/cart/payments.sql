-- makegood: payments
--
-- What was paid for, course by course. The contract is that of the shipped payments.sql.
WITH asked AS MATERIALIZED (
    SELECT (key::jsonb ->> 0)::uuid AS id, (key::jsonb ->> 1)::uuid AS course_id
    FROM pg_catalog.unnest($5::text[]) key
), item AS NOT MATERIALIZED (
    SELECT p.updated_at AS at, p.id, i.course_id, p.student_id, i.amount, p.currency, p.status
    FROM payments p
    JOIN payment_items i ON i.payment_id = p.id
), page AS (
    (
        SELECT *
        FROM item
        WHERE $5::text[] IS NULL AND at < $3::timestamptz
              AND (at, id, course_id) > (coalesce($1::timestamptz, '-infinity'),
                                         coalesce(($2::text::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000'),
                                         coalesce(($2::text::jsonb ->> 1)::uuid, '00000000-0000-0000-0000-000000000000'))
        ORDER BY at, id, course_id
        LIMIT $4::bigint
    )
    UNION ALL
    (
        SELECT *
        FROM item
        WHERE $5::text[] IS NULL AND $1::timestamptz = 'infinity' AND (at IS NULL OR at = 'infinity')
              AND ($2::text IS NULL OR (id, course_id) > (($2::text::jsonb ->> 0)::uuid, ($2::text::jsonb ->> 1)::uuid))
        ORDER BY id, course_id
        LIMIT $4::bigint
    )
    UNION ALL
    SELECT at, id, course_id, student_id, amount, currency, status
    FROM item
    JOIN asked USING (id, course_id)
)
SELECT pg_catalog.jsonb_build_array(id::text, course_id::text)::text AS business_key, at,
       CASE
           WHEN status::text = ANY ($6::text[]) THEN 'paid'
           WHEN status::text = ANY ($7::text[]) THEN 'refunded'
           ELSE 'not_paid'
       END AS state,
       pg_catalog.jsonb_build_object('status', status, 'amount', amount::text, 'currency', currency, 'student', student_id) AS terms,
       CASE WHEN status::text = ANY ($6::text[]) THEN
           pg_catalog.jsonb_build_object('eventType', 'PURCHASE_CONFIRMED',
               'data', pg_catalog.jsonb_build_object('paymentId', id, 'courseId', course_id, 'studentId', student_id,
                                                     'amount', amount::text, 'currency', currency))
       END AS event
FROM page
ORDER BY at, id, course_id
