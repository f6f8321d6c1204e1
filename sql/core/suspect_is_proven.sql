-- makegood: suspect_is_proven
-- Whether something was applied by the mapping $2 since it refused this one.
SELECT EXISTS (
    SELECT FROM makegood.quarantine q WHERE q.id = $1 AND q.suspect = 'proven' AND q.fingerprint = $2
)
