-- makegood: decision_records
-- The records that decisions are about.
SELECT quarantine_id FROM makegood.decisions WHERE id = ANY ($1::bigint[]) AND quarantine_id IS NOT NULL
