-- makegood: lookup
--
-- The courses of a payment and their purchases, by the payment's id or by a business key. The contract is that of the
-- shipped lookup.sql.
WITH wanted AS MATERIALIZED (
    SELECT pg_catalog.substring($1::text, '[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}')::uuid AS id
)
SELECT 'payment' AS part, pg_catalog.jsonb_build_array(p.id::text, i.course_id::text)::text AS business_key,
       p.updated_at AS at,
       pg_catalog.jsonb_build_object('id', p.id, 'courseId', i.course_id, 'status', p.status, 'amount', i.amount::text,
                                     'currency', p.currency, 'studentId', p.student_id) AS contents
FROM payments p
JOIN wanted USING (id)
JOIN payment_items i ON i.payment_id = p.id
UNION ALL
SELECT 'purchase', pg_catalog.jsonb_build_array(s.payment_id::text, s.course_id::text)::text, s.purchased_at,
       pg_catalog.jsonb_build_object('courseId', s.course_id, 'amount', s.amount::text, 'currency', s.currency,
                                     'studentId', s.student_id, 'eventId', s.event_id)
FROM course_purchases s
JOIN wanted ON wanted.id = s.payment_id
