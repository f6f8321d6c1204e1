-- makegood: decision_accept
SELECT makegood.accept($1, $2)
