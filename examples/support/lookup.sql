-- makegood: lookup
--
-- For the colleague on the telephone: finds payments by their own id or their purchase's, and by what a caller knows, the
-- student's id or e-mail address, or the number on the invoice. It takes the place of the shipped lookup.sql and has its
-- contract. It needs tables like these, and is only as fast as their indexes:
--
--   students (id uuid PRIMARY KEY, email text NOT NULL)      CREATE INDEX ON students (lower(email));
--   invoices (number text PRIMARY KEY, payment_id uuid)      CREATE INDEX ON payments (student_id);
--
-- `$1` is a value and never part of the statement, whatever it says. makegood runs this in a transaction that can only read,
-- for a few seconds at most, keeps the first 1000 rows, and tells of the latest 20 payments. The page finds by these only with
-- http.search = true.
WITH given AS MATERIALIZED (
    SELECT CASE WHEN $1::text ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' THEN $1::text::uuid END AS id
), student AS MATERIALIZED (
    SELECT id FROM given WHERE id IS NOT NULL
    UNION
    SELECT id FROM students WHERE pg_catalog.lower(email) = pg_catalog.lower($1::text)
), payment AS MATERIALIZED (
    SELECT id FROM given WHERE id IS NOT NULL
    UNION
    SELECT s.payment_id FROM student_course_purchases s JOIN given g ON s.id = g.id
    UNION
    SELECT payment_id FROM invoices WHERE number = $1::text
    UNION
    (SELECT p.id FROM payments p JOIN student ON student.id = p.student_id ORDER BY p.updated_at DESC LIMIT 500)
)
SELECT 'payment' AS part, p.id::text AS business_key, p.updated_at AS at,
       pg_catalog.jsonb_build_object('id', p.id, 'status', p.status, 'amount', p.amount::text, 'currency', p.currency,
                          'studentId', p.student_id, 'courseId', p.course_id, 'createdAt', p.created_at) AS contents
FROM payments p
JOIN payment USING (id)
UNION ALL
SELECT 'purchase', s.payment_id::text, s.purchased_at,
       pg_catalog.jsonb_build_object('id', s.id, 'amount', s.amount::text, 'currency', s.currency, 'studentId', s.student_id,
                          'courseId', s.course_id, 'eventId', s.event_id)
FROM student_course_purchases s
JOIN payment ON payment.id = s.payment_id
