-- makegood: inbox_note_undo
-- Somebody has written rows to the table of turn $1 after they were noted: they are noted anew. Says whether there is
-- such a turn.
WITH keys AS (
    DELETE FROM makegood.inbox_ended WHERE turn = $1
), reach AS (
    DELETE FROM makegood.inbox_reach WHERE turn = $1
)
UPDATE makegood.inbox_turns SET noted_at = NULL, newest_at = NULL WHERE turn = $1 RETURNING turn
