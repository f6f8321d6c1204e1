-- makegood: lookup
--
-- Finds a payment and its purchase, for `makegood explain`.
--
-- In:  $1 text  what somebody typed: here the id of a payment or of a purchase; anything else finds nothing.
--               examples/support finds payments by a student, an e-mail address or an invoice as well
-- Out: part text           `payment` or `purchase`
--      business_key text   the payment, as apply.sql names it
--      at timestamptz      when the payment became paid, or the purchase was made
--      contents jsonb      what people should see of the row
WITH wanted AS MATERIALIZED (
    SELECT CASE WHEN $1::text ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' THEN $1::text::uuid END AS id
), payment AS MATERIALIZED (
    SELECT id FROM wanted WHERE id IS NOT NULL
    UNION
    SELECT s.payment_id FROM student_course_purchases s JOIN wanted w ON s.id = w.id
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
