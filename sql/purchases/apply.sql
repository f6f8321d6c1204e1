-- makegood: apply
-- makegood: business-key student_course_purchases(payment_id)
--
-- Turns PURCHASE_CONFIRMED events into purchases. This file is yours: change it, then run
-- `makegood config check` or send the daemon SIGHUP; it is tried before it is used.
--
-- In:  $1 uuid[] event ids, each once; $2 jsonb[] payloads; $3 timestamptz[] the records' times.
-- Out: exactly one row an event: event_id, outcome, business_key, detail.
--        applied   this event made the row
--        already   the row exists and says the same
--        conflict  the row exists and says something else
--        ignored   nothing to do for this event
--        rejected  the event cannot be used; goes to quarantine with `detail` as the reason
--      An event may have no row here only when another transaction won a race for its key: it is
--      then run once more, and sees who won.
-- Rules: insert in the order of the key, or two daemons deadlock; ON CONFLICT DO NOTHING, never a
-- caught error; never UPDATE or DELETE.
--
-- Other shapes: a flat event in snake_case reads `payload ->> 'payment_id'` where this one reads
-- `payload -> 'data' ->> 'paymentId'`; other columns change the INSERT's list, its SELECT and the
-- comparison of `found` below. The business-key line above names the table and the column that
-- must have a unique index.
WITH event AS (
    SELECT e.event_id, e.at,
           e.payload -> 'data' ->> 'paymentId' AS payment_id,
           e.payload -> 'data' ->> 'studentId' AS student_id,
           e.payload -> 'data' ->> 'courseId' AS course_id,
           e.payload -> 'data' ->> 'amount' AS amount,
           e.payload -> 'data' ->> 'currency' AS currency,
           e.payload ->> 'occurredAt' AS occurred_at
    FROM unnest($1::uuid[], $2::jsonb[], $3::timestamptz[]) AS e (event_id, payload, at)
), checked AS MATERIALIZED (
    SELECT event_id, at, payment_id, student_id, course_id, amount, currency, occurred_at,
           CASE
               WHEN payment_id IS NULL THEN 'data.paymentId is missing'
               WHEN student_id IS NULL THEN 'data.studentId is missing'
               WHEN course_id IS NULL THEN 'data.courseId is missing'
               WHEN amount IS NULL THEN 'data.amount is missing'
               -- Plain digits only: numeric would take NaN and 1e2, and round a third decimal away.
               WHEN amount !~ '^(0|[1-9][0-9]{0,9})([.][0-9]{1,2})?$' THEN 'data.amount is not an amount'
               WHEN currency IS NULL OR currency !~ '^[A-Z]{3}$' THEN 'data.currency is not three capital letters'
               -- timestamptz would take "now" and "infinity", and guess a zone that is missing.
               WHEN occurred_at !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:?[0-9]{2})$'
                   THEN 'occurredAt is not a time with a zone'
           END AS fault
    FROM event
), good AS NOT MATERIALIZED (
    SELECT event_id, payment_id::uuid AS payment_id, student_id::uuid AS student_id,
           course_id::uuid AS course_id, amount::numeric(12, 2) AS amount, currency,
           coalesce(occurred_at::timestamptz, at) AS purchased_at
    FROM checked
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
    WHERE (SELECT count(*) FROM inserted) < (SELECT count(*) FROM checked WHERE fault IS NULL)
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
SELECT event_id, 'applied', payment_id::text, NULL
FROM inserted
UNION ALL
SELECT event_id, 'rejected', payment_id, fault
FROM checked
WHERE fault IS NOT NULL
