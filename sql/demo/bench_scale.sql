-- makegood: bench_scale
-- Payments, their purchases and their events up to a number, with ids as random as a payment service makes them. The
-- times are those of the days before, so that the reconciler and the retention have nothing to do.
SET synchronous_commit = off;
INSERT INTO payments
SELECT md5('payment' || n)::uuid, md5('student' || n % 1000000)::uuid, md5('course' || n % 1000)::uuid, 499, 'INR', 'succeeded', at, at
FROM generate_series(:from::bigint, :to) n
CROSS JOIN LATERAL (SELECT now() - interval '1 day' - n * interval '10 milliseconds' AS at) t;
INSERT INTO student_course_purchases (payment_id, student_id, course_id, amount, currency, event_id, purchased_at)
SELECT md5('payment' || n)::uuid, md5('student' || n % 1000000)::uuid, md5('course' || n % 1000)::uuid, 499, 'INR', md5('event' || n)::uuid,
       now() - interval '1 day' - n * interval '10 milliseconds'
FROM generate_series(:from::bigint, :to) n;
INSERT INTO makegood.inbox (event_id, "offset", event_at, applied_at, partition, route_id, digest, outcome, business_key)
SELECT md5('event' || n)::uuid, n / 3, at, at, n % 3, 1, decode(md5('digest' || n), 'hex'), 'applied', md5('payment' || n)::uuid::text
FROM generate_series(:from::bigint, :to) n
CROSS JOIN LATERAL (SELECT now() - interval '1 day' - n * interval '10 milliseconds' AS at) t;
RESET synchronous_commit
