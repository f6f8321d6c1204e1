-- makegood: run_waits
-- The run goes on by itself once what $2 says is over.
UPDATE makegood.runs SET held = $2 WHERE id = $1 AND held IS DISTINCT FROM $2
