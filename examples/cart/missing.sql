-- makegood: missing
-- makegood: index payments (updated_at, id)
--
-- Courses that are paid for and have no purchase. The contract is that of the shipped missing.sql; `$2` and `$5` are
-- business keys, and the order is that of time, payment and course.
WITH asked AS MATERIALIZED (
    SELECT (key::jsonb ->> 0)::uuid AS id, (key::jsonb ->> 1)::uuid AS course_id
    FROM pg_catalog.unnest($5::text[]) key
), paid AS NOT MATERIALIZED (
    SELECT p.updated_at AS at, p.id, i.course_id, p.student_id, i.amount, p.currency
    FROM payments p
    JOIN payment_items i ON i.payment_id = p.id
    WHERE p.status::text = ANY ($6::text[])
), page AS MATERIALIZED (
    (
        SELECT at, id, course_id, student_id, amount, currency
        FROM paid
        WHERE $5::text[] IS NULL AND at < $3::timestamptz
              AND (at, id, course_id) > (coalesce($1::timestamptz, '-infinity'),
                                         coalesce(($2::text::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000'),
                                         coalesce(($2::text::jsonb ->> 1)::uuid, '00000000-0000-0000-0000-000000000000'))
        ORDER BY at, id, course_id
        LIMIT $4::bigint
    )
    UNION ALL
    (
        SELECT 'infinity', id, course_id, student_id, amount, currency
        FROM paid
        WHERE $5::text[] IS NULL AND $1::timestamptz = 'infinity' AND (at IS NULL OR at = 'infinity')
              AND ($2::text IS NULL OR (id, course_id) > (($2::text::jsonb ->> 0)::uuid, ($2::text::jsonb ->> 1)::uuid))
        ORDER BY id, course_id
        LIMIT $4::bigint
    )
    UNION ALL
    SELECT at, id, course_id, student_id, amount, currency
    FROM paid
    JOIN asked USING (id, course_id)
)
SELECT pg_catalog.jsonb_build_array(id::text, course_id::text)::text AS business_key, at AS paid_at,
       pg_catalog.jsonb_build_object('eventType', 'PURCHASE_CONFIRMED',
           'data', pg_catalog.jsonb_build_object('paymentId', id, 'courseId', course_id, 'studentId', student_id,
                                                 'amount', amount::text, 'currency', currency)) AS event,
       NULL::bigint AS compared
FROM page
WHERE NOT EXISTS (SELECT FROM course_purchases s WHERE s.payment_id = page.id AND s.course_id = page.course_id)
UNION ALL
(
    SELECT pg_catalog.jsonb_build_array(id::text, course_id::text)::text, at, NULL, (SELECT count(*) FROM page)
    FROM page
    WHERE $5::text[] IS NULL
    ORDER BY at DESC, id DESC, course_id DESC
    LIMIT 1
)
