-- What closes an enrolment: a row that is only ever added, one for each payment that was given back. An enrolment is open while
-- its purchase is there and no such row is. Nothing is updated, so no order of events can open again what was closed.
CREATE TABLE enrolment_closures (
    payment_id uuid PRIMARY KEY,
    amount numeric(12,2) NOT NULL,
    currency text NOT NULL,
    event_id uuid,
    closed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON enrolment_closures (closed_at, payment_id);
CREATE VIEW open_enrolments AS
SELECT s.*
FROM student_course_purchases s
WHERE NOT EXISTS (SELECT FROM enrolment_closures c WHERE c.payment_id = s.payment_id);
