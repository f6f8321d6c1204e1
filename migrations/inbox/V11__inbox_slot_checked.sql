-- Reads the whole table and keeps nobody from writing to it.
ALTER TABLE makegood.inbox VALIDATE CONSTRAINT inbox_slot;
