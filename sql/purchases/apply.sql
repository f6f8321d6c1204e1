-- makegood: apply
-- makegood: business-key student_course_purchases(payment_id) /data/paymentId
-- makegood: field uuid /data/paymentId
-- makegood: field uuid /data/studentId
-- makegood: field uuid /data/courseId
-- makegood: field numeric(12,2) /data/amount
-- makegood: field text /data/currency
-- makegood: field timestamptz /occurredAt
-- makegood: paid payments(status) succeeded
-- makegood: refunded refunded
-- makegood: not-paid pending, processing, failed, canceled, cancelled, expired
--
-- Turns PURCHASE_CONFIRMED events into purchases. This file is yours: change it, then run
-- `makegood config check` or send the daemon SIGHUP; it is tried before it is used.
--
-- In:  $1 uuid[] event ids, each once; $2 timestamptz[] the records' times; $3 text[] what is wrong with
--      the first field of an event that cannot be read as its type, or null; from $4 on one array for each
--      field line above, in their order, of its type, null where an event has none or a wrong one.
--      The types are text, uuid, timestamptz (with a zone) and numeric(p,s) (plain digits, not rounded).
--      With no such line: $1 uuid[] event ids; $2 jsonb[] payloads; $3 timestamptz[] times.
-- Out: exactly one row an event: event_id, outcome, business_key, detail.
--        applied   this event made the row
--        altered   it made a row that says something else than was paid, as a column that rounds does: nothing is kept
--        already   the row exists and says the same
--        conflict  the row exists and says something else
--        ignored   nothing to do for this event
--        rejected  the event cannot be used; goes to quarantine with `detail` as the reason
--      An event may have no row here only when another transaction won a race for its key: it is
--      then run once more, and sees who won.
-- The lines on what is paid, refunded and not paid (yet) are handed to the other files. A status that stands in none of them
-- is told: nobody would look at such a payment.
-- Rules: insert in the order of the key, or two daemons deadlock; ON CONFLICT DO NOTHING, never a
-- caught error; never UPDATE or DELETE; a parameter always with its type, `$1::uuid[]`, as poolers need.
--
-- Other shapes: a flat event in snake_case has the line `field uuid /payment_id`; other columns change
-- the INSERT's list, its SELECT and the comparison of `found` below. The business-key line above names
-- the table and the column that must have a unique index, and where the key stands in an event. Where one
-- payment has several purchases it names several columns: docs/how-to/your-data.md, and examples/cart.
-- One event makes one row of that table.
WITH event AS MATERIALIZED (
    SELECT e.event_id, e.payment_id, e.student_id, e.course_id, e.amount, e.currency,
           coalesce(e.occurred_at, e.at) AS purchased_at,
           CASE
               WHEN e.fault IS NOT NULL THEN e.fault
               WHEN e.payment_id IS NULL THEN 'data.paymentId is missing'
               WHEN e.student_id IS NULL THEN 'data.studentId is missing'
               WHEN e.course_id IS NULL THEN 'data.courseId is missing'
               WHEN e.amount IS NULL THEN 'data.amount is missing'
               WHEN e.amount < 0.0 THEN 'data.amount is negative'
               WHEN e.currency IS NULL OR e.currency !~ '^[A-Z]{3}$' THEN 'data.currency is not three capital letters'
           END AS fault
    FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[],
                $7::numeric[], $8::text[], $9::timestamptz[])
        AS e (event_id, at, fault, payment_id, student_id, course_id, amount, currency, occurred_at)
), good AS NOT MATERIALIZED (
    SELECT event_id, payment_id, student_id, course_id, amount, currency, purchased_at
    FROM event
    WHERE fault IS NULL
), inserted AS (
    INSERT INTO student_course_purchases
        (payment_id, student_id, course_id, amount, currency, event_id, purchased_at)
    SELECT payment_id, student_id, course_id, amount, currency, event_id, purchased_at
    FROM good
    ORDER BY payment_id, purchased_at, event_id
    ON CONFLICT (payment_id) DO NOTHING
    RETURNING event_id, payment_id, student_id, course_id, amount, currency
), other AS MATERIALIZED (
    -- Mostly every event makes its row, and then there is nothing to look for.
    SELECT event_id, payment_id, student_id, course_id, amount, currency
    FROM good g
    WHERE (SELECT count(*) FROM inserted) < pg_catalog.cardinality($1::uuid[])
          AND NOT EXISTS (SELECT FROM inserted i WHERE i.event_id = g.event_id)
), found AS (
    SELECT payment_id, student_id, course_id, amount, currency FROM inserted
    UNION ALL
    -- A row from before, or that another transaction made.
    SELECT p.payment_id, p.student_id, p.course_id, p.amount, p.currency
    FROM (SELECT DISTINCT payment_id FROM other) key
    JOIN student_course_purchases p USING (payment_id)
)
SELECT g.event_id,
       CASE
           WHEN (f.student_id, f.course_id, f.amount, f.currency)
                = (g.student_id, g.course_id, g.amount, g.currency) THEN 'already'
           ELSE 'conflict'
       END AS outcome,
       g.payment_id::text AS business_key,
       CASE
           WHEN f.amount <> g.amount THEN 'the purchase has another amount'
           WHEN f.currency <> g.currency THEN 'the purchase has another currency'
           WHEN f.student_id <> g.student_id THEN 'the purchase has another student'
           WHEN f.course_id <> g.course_id THEN 'the purchase has another course'
       END AS detail
FROM other g
JOIN found f USING (payment_id)
UNION ALL
SELECT i.event_id, CASE WHEN i.amount <> g.amount THEN 'altered' ELSE 'applied' END, i.payment_id::text, NULL
FROM inserted i
LEFT JOIN good g USING (event_id)
UNION ALL
SELECT event_id, 'rejected', payment_id::text, fault
FROM event
WHERE fault IS NOT NULL
