-- makegood: bench_reconcile
-- Payments three seconds apart up to yesterday, and their purchases but for some at random.
SET synchronous_commit = off;
INSERT INTO payments
SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 499, 'INR', 'succeeded', at, at
FROM generate_series(1, :payments) n
CROSS JOIN LATERAL (SELECT now() - interval '1 day' - (:payments - n) * interval '3 seconds' AS at) t;
CREATE INDEX ON payments (updated_at, id);
CREATE TEMP TABLE skipped AS
SELECT id FROM payments TABLESAMPLE BERNOULLI (least(100, 100.0 * 3 * :missing / :payments)) ORDER BY random() LIMIT :missing;
INSERT INTO student_course_purchases (payment_id, student_id, course_id, amount, currency, event_id, purchased_at)
SELECT id, student_id, course_id, amount, currency, gen_random_uuid(), updated_at
FROM payments
WHERE id NOT IN (SELECT id FROM skipped);
CREATE INDEX ON student_course_purchases (purchased_at, payment_id);
VACUUM ANALYZE payments;
VACUUM ANALYZE student_course_purchases;
RESET synchronous_commit;
CHECKPOINT
