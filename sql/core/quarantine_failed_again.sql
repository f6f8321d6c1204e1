-- makegood: quarantine_failed_again
-- A record that could not be applied once more stays, with its newest reason.
UPDATE makegood.quarantine
SET attempts = attempts + 1, reason = $2, sqlstate = $3, detail = $4
WHERE id = $1
