-- makegood: run_stop
UPDATE makegood.runs SET stop_asked = true WHERE id = $1 AND state IN ('requested', 'running')
