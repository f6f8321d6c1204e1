-- makegood: lookup
--
-- A payment and its closure, by the payment's id. The contract is that of the shipped lookup.sql; a closure is in the place of
-- a purchase.
WITH wanted AS MATERIALIZED (
    SELECT CASE WHEN $1::text ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' THEN $1::text::uuid END AS id
)
SELECT 'payment' AS part, p.id::text AS business_key, p.updated_at AS at,
       pg_catalog.jsonb_build_object('id', p.id, 'status', p.status, 'amount', p.amount::text, 'currency', p.currency,
                                     'studentId', p.student_id, 'courseId', p.course_id) AS contents
FROM payments p
JOIN wanted USING (id)
UNION ALL
SELECT 'purchase', c.payment_id::text, c.closed_at,
       pg_catalog.jsonb_build_object('amount', c.amount::text, 'currency', c.currency, 'eventId', c.event_id)
FROM enrolment_closures c
JOIN wanted ON wanted.id = c.payment_id
