-- makegood: apply
-- makegood: business-key course_purchases(payment_id, course_id) /data/paymentId /data/courseId
-- makegood: field uuid /data/paymentId
-- makegood: field uuid /data/courseId
-- makegood: field uuid /data/studentId
-- makegood: field numeric(12,2) /data/amount
-- makegood: field text /data/currency
-- makegood: paid payments(status) succeeded
-- makegood: refunded refunded
-- makegood: not-paid pending, failed
--
-- A cart: one payment pays for several courses. There is an event for each course, and a purchase for each event. The
-- business key has two columns; as a text it is a JSON list of their texts, wherever one is given or returned.
-- The contract is that of the shipped apply.sql.
WITH event AS MATERIALIZED (
    SELECT e.event_id, e.payment_id, e.course_id, e.student_id, e.amount, e.currency, e.at,
           pg_catalog.jsonb_build_array(e.payment_id::text, e.course_id::text)::text AS business_key,
           CASE
               WHEN e.fault IS NOT NULL THEN e.fault
               WHEN e.payment_id IS NULL THEN 'data.paymentId is missing'
               WHEN e.course_id IS NULL THEN 'data.courseId is missing'
               WHEN e.student_id IS NULL THEN 'data.studentId is missing'
               WHEN e.amount IS NULL THEN 'data.amount is missing'
               WHEN e.currency IS NULL THEN 'data.currency is missing'
           END AS fault
    FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::numeric[], $8::text[])
        AS e (event_id, at, fault, payment_id, course_id, student_id, amount, currency)
), inserted AS (
    INSERT INTO course_purchases (payment_id, course_id, student_id, amount, currency, event_id, purchased_at)
    SELECT payment_id, course_id, student_id, amount, currency, event_id, at
    FROM event
    WHERE fault IS NULL
    ORDER BY payment_id, course_id, at, event_id
    ON CONFLICT (payment_id, course_id) DO NOTHING
    RETURNING event_id, payment_id, course_id, student_id, amount, currency
), found AS (
    SELECT payment_id, course_id, student_id, amount, currency FROM inserted
    UNION ALL
    SELECT p.payment_id, p.course_id, p.student_id, p.amount, p.currency
    FROM (SELECT DISTINCT payment_id, course_id FROM event WHERE fault IS NULL) key
    JOIN course_purchases p USING (payment_id, course_id)
)
SELECT i.event_id, CASE WHEN i.amount <> e.amount THEN 'altered' ELSE 'applied' END AS outcome, e.business_key,
       NULL AS detail
FROM inserted i
JOIN event e USING (event_id)
UNION ALL
SELECT e.event_id,
       CASE WHEN (f.student_id, f.amount, f.currency) = (e.student_id, e.amount, e.currency) THEN 'already' ELSE 'conflict' END,
       e.business_key,
       CASE
           WHEN f.amount <> e.amount THEN 'the purchase has another amount'
           WHEN f.currency <> e.currency THEN 'the purchase has another currency'
           WHEN f.student_id <> e.student_id THEN 'the purchase has another student'
       END
FROM event e
JOIN found f USING (payment_id, course_id)
WHERE e.fault IS NULL AND NOT EXISTS (SELECT FROM inserted i WHERE i.event_id = e.event_id)
UNION ALL
SELECT event_id, 'rejected', business_key, fault
FROM event
WHERE fault IS NOT NULL
