-- makegood: missing
-- makegood: index payments (updated_at, id, status)
-- makegood: index student_course_purchases (purchased_at, payment_id)
--
-- Finds payments that succeeded and have no purchase, for the reconciler: each as an event of the
-- topic's own shape, which then goes through apply.sql. This file is yours, as apply.sql is.
--
-- In:  $1 timestamptz, $2 text  only payments that became paid after this time and key; null: from the
--                               first on; infinity: those whose time is null or infinity, in the order of
--                               their keys, after this one
--      $3 timestamptz           only those that became paid before this time
--      $4 bigint                look at so many payments at most, the first in the order of time and key
--      $5 text[]                if not null: look at these keys, whatever $1 to $4 say
--      $6 text[], $7 text[]     the words of a status that mean paid and refunded, from the lines at the top of apply.sql;
--                               a statement may do without them
-- Out: business_key text   the payment, as apply.sql names it
--      paid_at timestamptz when it became paid
--      event jsonb         its event
--      compared bigint     null
--    one row a payment without a purchase; and, without $5, if any payment was looked at, one row
--    without an event: business_key and paid_at of the last payment looked at, and how many were, in
--    `compared`. The next window goes on there.
-- Rules: read by an index, window by window (the index line above is checked, and asked for where it
-- is missing); never an OFFSET to where a window begins. `paid_at` must move when a payment becomes
-- paid, or one that succeeds days after it was created is behind the reconciler already: hence
-- updated_at. For a column of type
-- `timestamp` declare its zone, or windows are hours off: `updated_at AT TIME ZONE 'UTC'` where it is
-- selected, `$1::timestamptz AT TIME ZONE 'UTC'`, and so for $3, where it is compared. Its index then serves.
--
-- A window's payments mostly have purchases of about the same time. `near` reads those in one go by
-- their index on that time; what is left is looked up one by one in the index that makes payment_id
-- unique, which alone decides. Purchases without such a time need only that: leave `near` out. The
-- planner cannot know how few are left; without LIMIT 1 it may read the whole table to find them. The other
-- LIMIT is for a million purchases of the same moment, as an import makes them.
-- `page` is read from its index as often as it is named: that is cheaper than to keep its rows.
WITH ahead AS NOT MATERIALIZED (
    SELECT id, updated_at AS at
    FROM payments
    WHERE $5::text[] IS NULL AND status::text = ANY ($6::text[])
          AND (updated_at, id) > (coalesce($1::timestamptz, '-infinity'),
                                  coalesce($2::text, '00000000-0000-0000-0000-000000000000')::uuid)
          AND updated_at < $3::timestamptz
), timeless AS MATERIALIZED (
    SELECT id, updated_at AS at
    FROM payments
    WHERE $5::text[] IS NULL AND $1::timestamptz = 'infinity' AND status::text = ANY ($6::text[])
          AND (updated_at IS NULL OR updated_at = 'infinity') AND ($2::text IS NULL OR id > $2::text::uuid)
    ORDER BY id
    LIMIT $4::bigint
), page AS NOT MATERIALIZED (
    (SELECT id, at FROM ahead ORDER BY at, id LIMIT $4::bigint)
    UNION ALL
    SELECT id, at FROM timeless
    UNION ALL
    SELECT id, updated_at
    FROM payments
    WHERE status::text = ANY ($6::text[]) AND id = ANY ($5::text[]::uuid[])
), full_page AS MATERIALIZED (
    SELECT id, at, $4::bigint AS compared FROM ahead ORDER BY at, id OFFSET $4::bigint - 1 LIMIT 1
), edge AS MATERIALIZED (
    SELECT id, at, compared FROM full_page
    UNION ALL
    (
        SELECT id, at, (SELECT count(*) FROM page)
        FROM ahead
        WHERE NOT EXISTS (SELECT FROM full_page)
        ORDER BY at DESC, id DESC
        LIMIT 1
    )
    UNION ALL
    (SELECT id, at, (SELECT count(*) FROM timeless) FROM timeless ORDER BY id DESC LIMIT 1)
), near AS (
    SELECT payment_id
    FROM student_course_purchases
    WHERE $5::text[] IS NULL
          -- At the ends of time there is no minute more.
          AND purchased_at >= greatest((SELECT at FROM ahead ORDER BY at, id LIMIT 1), '0001-01-01Z') - interval '1 minute'
          AND purchased_at <= least((SELECT at FROM edge), '9999-12-31Z') + interval '1 minute'
    LIMIT 2 * $4::bigint
), far AS MATERIALIZED (
    SELECT id, at
    FROM page
    WHERE NOT EXISTS (SELECT FROM near WHERE near.payment_id = page.id)
)
SELECT far.id::text AS business_key, far.at AS paid_at,
       pg_catalog.jsonb_build_object(
           'eventType', 'PURCHASE_CONFIRMED',
           -- A time that no event can tell is left out; then it is the record's.
           'occurredAt', CASE WHEN far.at BETWEEN '0001-01-01Z' AND '9999-12-30Z' THEN
               pg_catalog.to_char(far.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
           END,
           'data', pg_catalog.jsonb_build_object('paymentId', far.id, 'studentId', p.student_id, 'courseId', p.course_id,
                                      'amount', p.amount::text, 'currency', p.currency)
       ) AS event,
       NULL::bigint AS compared
FROM far
LEFT JOIN LATERAL (SELECT payment_id FROM student_course_purchases WHERE payment_id = far.id LIMIT 1) s ON true
CROSS JOIN LATERAL (
    SELECT student_id, course_id, amount, currency FROM payments WHERE id = far.id LIMIT 1
) p
WHERE s.payment_id IS NULL
UNION ALL
SELECT id::text, at, NULL, compared FROM edge
