-- makegood: host_tables
-- The payment service's own tables, as the demo, the tests and the shipped mapping know them.
CREATE TABLE payments (
    id uuid PRIMARY KEY,
    student_id uuid NOT NULL,
    course_id uuid NOT NULL,
    amount numeric(12, 2) NOT NULL,
    currency text NOT NULL,
    status text NOT NULL DEFAULT 'succeeded',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE student_course_purchases (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    payment_id uuid UNIQUE NOT NULL,
    student_id uuid NOT NULL,
    course_id uuid NOT NULL,
    amount numeric(12, 2) NOT NULL,
    currency text NOT NULL,
    event_id uuid,
    purchased_at timestamptz NOT NULL DEFAULT now()
)
