-- makegood: inbox_slot
-- The slot to write to, which stays that until this transaction ends, and those of the turns before.
SELECT current, others FROM makegood.inbox_slot()
