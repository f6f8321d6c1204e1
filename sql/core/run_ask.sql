-- makegood: run_ask
SELECT makegood.reconcile($1, $2, $3, $4)
