-- makegood: conflicts
-- makegood: index payments (updated_at, id, status)
-- makegood: index student_course_purchases (purchased_at, payment_id)
--
-- Finds payments and purchases that contradict each other, for people: makegood records them and
-- changes nothing.
--
-- In:  as in missing.sql; the order is that of both the payments' and the purchases' times.
-- Out: business_key text   the payment
--      at timestamptz      when it, or its purchase, was last changed
--      kind text           one word of your choice, stable; not `missing` or `gone`, which are makegood's
--      expected jsonb      what the payment says, null for no payment
--      found jsonb         what the purchase says
--      compared bigint     null
--    one row a contradiction, and one row without a kind for the window's last key, as in missing.sql.
-- Kinds here: amount, course, currency, student (the first that the purchase has otherwise), refunded and
-- not_paid (it exists all the same), no_payment, future (the purchase is dated more than an hour ahead, and its
-- payment is not). Two purchases for one payment cannot be: payment_id is unique.
--
-- Nearly all payments have a purchase of about the same time that agrees with them. `near_payments` and
-- `near_purchases` read those in one go by their indexes on the time, and `far` is what they leave: it is
-- looked up one by one, as in missing.sql, and judged. What `judged` compares, `far` must compare too.
WITH page AS MATERIALIZED (
    (
        SELECT at, id
        FROM (
            (
                SELECT updated_at AS at, id
                FROM payments
                WHERE $5::text[] IS NULL
                      AND (updated_at, id) > (coalesce($1::timestamptz, '-infinity'),
                                              coalesce($2::text, '00000000-0000-0000-0000-000000000000')::uuid)
                      AND updated_at < $3::timestamptz
                ORDER BY updated_at, id
                LIMIT $4::bigint
            )
            UNION ALL
            (
                SELECT purchased_at, payment_id
                FROM student_course_purchases
                WHERE $5::text[] IS NULL
                      AND (purchased_at, payment_id) > (coalesce($1::timestamptz, '-infinity'),
                                                        coalesce($2::text, '00000000-0000-0000-0000-000000000000')::uuid)
                      AND purchased_at < $3::timestamptz
                ORDER BY purchased_at, payment_id
                LIMIT $4::bigint
            )
        ) both_tables
        ORDER BY at, id
        LIMIT $4::bigint
    )
    UNION ALL
    (
        SELECT 'infinity', id
        FROM (
            SELECT id
            FROM payments
            WHERE $5::text[] IS NULL AND $1::timestamptz = 'infinity' AND (updated_at IS NULL OR updated_at = 'infinity')
            UNION
            SELECT payment_id
            FROM student_course_purchases
            WHERE $5::text[] IS NULL AND $1::timestamptz = 'infinity' AND (purchased_at IS NULL OR purchased_at = 'infinity')
        ) timeless
        WHERE $2::text IS NULL OR id > $2::text::uuid
        ORDER BY id
        LIMIT $4::bigint
    )
    UNION ALL
    SELECT NULL, pg_catalog.unnest($5::text[]::uuid[])
), span AS MATERIALIZED (
    SELECT min(at) AS first, max(at) AS last, count(*) AS compared FROM page
), near_payments AS (
    SELECT id, status, student_id, course_id, amount, currency, updated_at
    FROM payments
    WHERE $5::text[] IS NULL
          AND updated_at >= greatest((SELECT first FROM span), '0001-01-01Z') - interval '1 minute'
          AND updated_at <= least((SELECT last FROM span), '9999-12-31Z') + interval '1 minute'
    LIMIT 2 * $4::bigint
), near_purchases AS (
    SELECT payment_id AS id, student_id, course_id, amount, currency, purchased_at
    FROM student_course_purchases
    WHERE $5::text[] IS NULL
          AND purchased_at >= greatest((SELECT first FROM span), '0001-01-01Z') - interval '1 minute'
          AND purchased_at <= least((SELECT last FROM span), '9999-12-31Z') + interval '1 minute'
    LIMIT 2 * $4::bigint
), far AS MATERIALIZED (
    SELECT DISTINCT at, id
    FROM page
    LEFT JOIN near_payments p USING (id)
    LEFT JOIN near_purchases s USING (id)
    WHERE (p.status::text = ANY ($6::text[]) AND s.purchased_at <= greatest(pg_catalog.now() + interval '1 hour', p.updated_at)
           AND (s.amount, s.course_id, s.currency, s.student_id)
               = (p.amount, p.course_id, p.currency, p.student_id)) IS NOT TRUE
), pair AS (
    SELECT far.id, greatest(p.updated_at, s.purchased_at) AS at, p.id IS NOT NULL AS has_payment, p.status,
           p.student_id, p.course_id, p.amount, p.currency,
           s.student_id AS found_student, s.course_id AS found_course, s.amount AS found_amount,
           s.currency AS found_currency, s.purchased_at AS found_at, p.updated_at AS paid_at
    FROM far
    CROSS JOIN LATERAL (
        SELECT purchased_at, student_id, course_id, amount, currency
        FROM student_course_purchases
        WHERE payment_id = far.id
        LIMIT 1
    ) s
    LEFT JOIN LATERAL (
        SELECT id, status, updated_at, student_id, course_id, amount, currency
        FROM payments
        WHERE id = far.id
        LIMIT 1
    ) p ON true
    -- A pair is in the order twice; it is told where the later of both is.
    WHERE far.at IS NULL OR far.at = coalesce(greatest(p.updated_at, s.purchased_at), 'infinity')
), judged AS (
    SELECT *,
           CASE
               WHEN NOT has_payment THEN 'no_payment'
               WHEN status::text = ANY ($7::text[]) THEN 'refunded'
               WHEN status::text <> ALL ($6::text[]) THEN 'not_paid'
               WHEN found_amount <> amount THEN 'amount'
               WHEN found_course <> course_id THEN 'course'
               WHEN found_currency <> currency THEN 'currency'
               WHEN found_student <> student_id THEN 'student'
               WHEN found_at > greatest(pg_catalog.now() + interval '1 hour', paid_at) AND found_at < 'infinity' THEN 'future'
           END AS kind
    FROM pair
)
SELECT id::text AS business_key, at, kind,
       CASE WHEN has_payment THEN
           pg_catalog.jsonb_build_object('status', status, 'amount', amount::text, 'currency', currency,
                              'student', student_id, 'course', course_id)
       END AS expected,
       pg_catalog.jsonb_build_object('amount', found_amount::text, 'currency', found_currency,
                          'student', found_student, 'course', found_course) AS found,
       NULL::bigint AS compared
FROM judged
WHERE kind IS NOT NULL
UNION ALL
(
    SELECT page.id::text, last, NULL, NULL, NULL, span.compared
    FROM span
    JOIN page ON page.at IS NOT DISTINCT FROM last
    ORDER BY page.id DESC
    LIMIT 1
)
