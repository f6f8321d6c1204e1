-- makegood: inbox_note_is_whole
-- Whether the rows of slot $2 are those that were noted of turn $1; nobody writes to them now.
SELECT coalesce((SELECT max(i.applied_at) FROM makegood.inbox i WHERE i.slot = $2)
                <= (SELECT t.newest_at FROM makegood.inbox_turns t WHERE t.turn = $1),
                NOT EXISTS (SELECT FROM makegood.inbox i WHERE i.slot = $2)) AS whole
