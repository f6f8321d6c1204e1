-- makegood: inbox_turn_held
-- Says why the turn after turn $1 does not begin, if that is news.
UPDATE makegood.inbox_turns SET held = $2 WHERE turn = $1 AND held IS DISTINCT FROM $2
