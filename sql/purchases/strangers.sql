-- makegood: strangers
--
-- Finds purchases that belong to no payment: made by hand, with a payment id that was left out, mistyped
-- or invented. When makegood starts in a group for the first time, their payments would get a second
-- purchase; so `makegood doctor` shows them, and `makegood run` asks for --confirm while there are any.
--
-- In:  $1 bigint           at most so many
--      $2 text[]           the words of a status that mean paid, from apply.sql
-- Out: purchase text       the purchase
--      business_key text   its payment, as it stands there; may be null
--      at timestamptz      when it was made
--      contents jsonb      what people should see of it
--      link text           the statement that would link it with the payment it was most likely made for,
--                          for a person to run; null if there is none
-- It is run before the route first applies anything. makegood never runs what is in `link`.
SELECT s.id::text AS purchase, s.payment_id::text AS business_key, s.purchased_at AS at,
       pg_catalog.jsonb_build_object('amount', s.amount::text, 'currency', s.currency, 'studentId', s.student_id,
                          'courseId', s.course_id) AS contents,
       (
           SELECT pg_catalog.format('UPDATE student_course_purchases SET payment_id = %L WHERE id = %L;', p.id, s.id)
           FROM payments p
           WHERE p.student_id = s.student_id AND p.course_id = s.course_id AND p.amount = s.amount
                 AND p.currency = s.currency AND p.status::text = ANY ($2::text[])
                 AND NOT EXISTS (SELECT FROM student_course_purchases o WHERE o.payment_id = p.id)
           ORDER BY p.updated_at, p.id
           LIMIT 1
       ) AS link
FROM student_course_purchases s
WHERE NOT EXISTS (SELECT FROM payments p WHERE p.id = s.payment_id)
ORDER BY s.purchased_at, s.id
LIMIT $1::bigint
