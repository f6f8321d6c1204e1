-- makegood: job_compared
-- A run has compared everything from $3 (null: from the first) to $4.
UPDATE makegood.jobs
SET cursor_at = greatest(cursor_at, $4),
    swept_at = CASE WHEN $3::timestamptz IS NULL THEN greatest(swept_at, $2) ELSE swept_at END
WHERE name = $1 AND ($3::timestamptz IS NULL OR $3 <= cursor_at)
