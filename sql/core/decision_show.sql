-- makegood: decision_show
SELECT decision, state, held, outcome, detail
FROM makegood.quarantine_decisions
WHERE decision = ANY ($1::bigint[])
