-- makegood: inbox_turn_again
-- Turn $1 began at a time that is yet to come, by a clock that was ahead: it begins now.
UPDATE makegood.inbox_turns SET began_at = now() WHERE turn = $1 AND began_at > now()
