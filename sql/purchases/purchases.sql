-- makegood: purchases
-- makegood: index student_course_purchases (purchased_at, payment_id)
--
-- Reads purchases, to be compared with the rows of payments.sql.
--
-- In:  as in payments.sql, by the purchases' own times
-- Out: business_key text, at timestamptz  as in payments.sql
--      terms jsonb                        what the purchase says
SELECT payment_id::text AS business_key, purchased_at AS at,
       pg_catalog.jsonb_build_object('amount', amount::text, 'currency', currency, 'student', student_id, 'course', course_id) AS terms
FROM (
    (
        SELECT payment_id, student_id, course_id, amount, currency, purchased_at
        FROM student_course_purchases
        WHERE $5::text[] IS NULL
              AND (purchased_at, payment_id) > (coalesce($1::timestamptz, '-infinity'),
                                                coalesce($2::text, '00000000-0000-0000-0000-000000000000')::uuid)
              AND purchased_at < $3::timestamptz
        ORDER BY purchased_at, payment_id
        LIMIT $4::bigint
    )
    UNION ALL
    (
        SELECT payment_id, student_id, course_id, amount, currency, purchased_at
        FROM student_course_purchases
        WHERE $5::text[] IS NULL AND $1::timestamptz = 'infinity' AND (purchased_at IS NULL OR purchased_at = 'infinity')
              AND ($2::text IS NULL OR payment_id > $2::text::uuid)
        ORDER BY payment_id
        LIMIT $4::bigint
    )
    UNION ALL
    SELECT payment_id, student_id, course_id, amount, currency, purchased_at
    FROM student_course_purchases
    WHERE payment_id = ANY ($5::text[]::uuid[])
) page
ORDER BY purchased_at, payment_id
