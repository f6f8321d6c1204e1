-- makegood: apply
-- makegood: business-key enrolment_closures(payment_id) /data/paymentId
-- makegood: row closure
-- makegood: field uuid /data/paymentId
-- makegood: field numeric(12,2) /data/amount
-- makegood: field text /data/currency
-- makegood: field timestamptz /occurredAt
-- makegood: paid payments(status) refunded
-- makegood: not-paid pending, processing, failed, canceled, cancelled, expired, succeeded
--
-- A second event into a second table: REFUND_CONFIRMED closes the enrolment of a payment that was given back whole. The
-- contract is that of the shipped apply.sql. Here `paid` names the words of the status for which a row is due,
-- and `row` says what people call one.
--
-- Only rows are added, so paid, refunded and paid again come to the same in every order, however often:
--   paid                     open
--   refunded                 closed, also before its purchase is there, and whatever of this payment comes later
--   both                     closed
--   paid again               another payment, and another enrolment: open
-- A refund of a part of the amount is none of these: its payment is not `refunded`, so the event is put away for people.
WITH event AS MATERIALIZED (
    SELECT e.event_id, e.payment_id, e.amount, e.currency, coalesce(e.occurred_at, e.at) AS closed_at,
           CASE
               WHEN e.fault IS NOT NULL THEN e.fault
               WHEN e.payment_id IS NULL THEN 'data.paymentId is missing'
               WHEN e.amount IS NULL THEN 'data.amount is missing'
               WHEN e.currency IS NULL THEN 'data.currency is missing'
           END AS fault
    FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::uuid[], $5::numeric[], $6::text[], $7::timestamptz[])
        AS e (event_id, at, fault, payment_id, amount, currency, occurred_at)
), inserted AS (
    INSERT INTO enrolment_closures (payment_id, amount, currency, event_id, closed_at)
    SELECT payment_id, amount, currency, event_id, closed_at
    FROM event
    WHERE fault IS NULL
    ORDER BY payment_id, closed_at, event_id
    ON CONFLICT (payment_id) DO NOTHING
    RETURNING event_id, payment_id, amount, currency
), found AS (
    SELECT payment_id, amount, currency FROM inserted
    UNION ALL
    SELECT c.payment_id, c.amount, c.currency
    FROM (SELECT DISTINCT payment_id FROM event WHERE fault IS NULL) key
    JOIN enrolment_closures c USING (payment_id)
)
SELECT i.event_id, CASE WHEN i.amount <> e.amount THEN 'altered' ELSE 'applied' END AS outcome,
       e.payment_id::text AS business_key, NULL AS detail
FROM inserted i
JOIN event e USING (event_id)
UNION ALL
SELECT e.event_id, CASE WHEN (f.amount, f.currency) = (e.amount, e.currency) THEN 'already' ELSE 'conflict' END,
       e.payment_id::text,
       CASE
           WHEN f.amount <> e.amount THEN 'the closure has another amount'
           WHEN f.currency <> e.currency THEN 'the closure has another currency'
       END
FROM event e
JOIN found f USING (payment_id)
WHERE e.fault IS NULL AND NOT EXISTS (SELECT FROM inserted i WHERE i.event_id = e.event_id)
UNION ALL
SELECT event_id, 'rejected', payment_id::text, fault
FROM event
WHERE fault IS NOT NULL
