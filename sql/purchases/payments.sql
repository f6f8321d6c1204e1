-- makegood: payments
-- makegood: index payments (updated_at, id, status)
--
-- Reads payments where they live. By their keys ($5) for the events at hand: one makes a purchase only
-- if its payment is `paid`, and says the same wherever the payment's `event` has a value that apply.sql
-- takes, times excepted (verify_payment). And for a job whose `source` is another database than the one
-- with the purchases: missing.sql and conflicts.sql cannot join two databases, so makegood compares
-- these rows with those of purchases.sql itself.
--
-- In:  as in missing.sql; all payments, paid or not
-- Out: business_key text  the payment, as apply.sql names it; one row a payment
--      at timestamptz     when it became what it is, as in missing.sql
--      state text         `paid`; else one word for a purchase that exists all the same
--      terms jsonb        what its purchase must say, by names that purchases.sql uses as well
--      event jsonb        its event if it is paid, else null
--    in the order of at and business_key, which must be the order of the key's text, byte by byte: a
--    number needs leading zeros.
SELECT id::text AS business_key, updated_at AS at,
       CASE
           WHEN status::text = ANY ($6::text[]) THEN 'paid'
           WHEN status::text = ANY ($7::text[]) THEN 'refunded'
           ELSE 'not_paid'
       END AS state,
       pg_catalog.jsonb_build_object('status', status, 'amount', amount::text, 'currency', currency,
                          'student', student_id, 'course', course_id) AS terms,
       CASE WHEN status::text = ANY ($6::text[]) THEN
           pg_catalog.jsonb_build_object(
               'eventType', 'PURCHASE_CONFIRMED',
               -- A time that no event can tell is left out; then it is the record's.
               'occurredAt', CASE WHEN updated_at BETWEEN '0001-01-01Z' AND '9999-12-30Z' THEN
                   pg_catalog.to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
               END,
               'data', pg_catalog.jsonb_build_object('paymentId', id, 'studentId', student_id, 'courseId', course_id,
                                          'amount', amount::text, 'currency', currency)
           )
       END AS event
FROM (
    (
        SELECT id, student_id, course_id, amount, currency, status, updated_at
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
        SELECT id, student_id, course_id, amount, currency, status, updated_at
        FROM payments
        WHERE $5::text[] IS NULL AND $1::timestamptz = 'infinity' AND (updated_at IS NULL OR updated_at = 'infinity')
              AND ($2::text IS NULL OR id > $2::text::uuid)
        ORDER BY id
        LIMIT $4::bigint
    )
    UNION ALL
    SELECT id, student_id, course_id, amount, currency, status, updated_at
    FROM payments
    WHERE id = ANY ($5::text[]::uuid[])
) page
ORDER BY updated_at, id
