-- The inbox's table becomes the first of three that are filled in turn. It is not rewritten, and it is locked only for
-- moments, in three steps: the default is a constant, the check is not looked at yet.
ALTER TABLE makegood.inbox
    ADD COLUMN slot smallint NOT NULL DEFAULT 0,
    ADD CONSTRAINT inbox_slot CHECK (slot = 0) NOT VALID;
