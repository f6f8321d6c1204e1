-- makegood: inbox_note_begin
-- One daemon at a time notes the rows of turn $1, which lie in slot $2; the others find it done.
UPDATE makegood.inbox_turns
SET noted_at = now(), newest_at = (SELECT max(i.applied_at) FROM makegood.inbox i WHERE i.slot = $2)
WHERE turn = $1 AND noted_at IS NULL
RETURNING turn
