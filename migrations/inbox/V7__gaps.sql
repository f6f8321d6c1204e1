-- Offsets that were never read, until what they may have said is covered otherwise.
CREATE VIEW makegood.gaps_open AS
SELECT g.id AS gap, r.name AS route, g.topic, g.topic_id, g.partition, g.from_offset, g.to_offset,
       g.to_offset - g.from_offset AS records, g.reason, g.found_at
FROM makegood.gaps g
JOIN makegood.routes r ON r.id = g.route_id
WHERE g.covered_at IS NULL;
COMMENT ON VIEW makegood.gaps_open IS
    'Offsets that were never read and that no sweep of the reconciler has covered yet. A sweep is asked for by itself.';
COMMENT ON COLUMN makegood.gaps_open.gap IS 'Its number, as makegood.dismiss_gap takes it.';
COMMENT ON COLUMN makegood.gaps_open.route IS 'The route that did not read them.';
COMMENT ON COLUMN makegood.gaps_open.topic IS 'The topic.';
COMMENT ON COLUMN makegood.gaps_open.topic_id IS 'The topic''s id when it was found.';
COMMENT ON COLUMN makegood.gaps_open.partition IS 'The partition.';
COMMENT ON COLUMN makegood.gaps_open.from_offset IS 'The first offset that was not read.';
COMMENT ON COLUMN makegood.gaps_open.to_offset IS 'One past the last.';
COMMENT ON COLUMN makegood.gaps_open.records IS 'How many offsets that are; in a compacted or transactional topic fewer are records.';
COMMENT ON COLUMN makegood.gaps_open.reason IS
    'expired: deleted before they were read; taken_over: before the offset of the group''s worker before makegood; first_start: before the configured start; deleted: the topic was deleted before they were read; recreated, truncated: the log that came after begins later; unreadable: a batch that unpacks to too much, or to nothing; quarantine_full: put away beyond max_quarantine; reset by ...: a person skipped them.';
COMMENT ON COLUMN makegood.gaps_open.found_at IS 'When it was found; every payment they can be about became paid before.';

CREATE VIEW makegood.gaps_covered AS
SELECT g.id AS gap, r.name AS route, g.topic, g.topic_id, g.partition, g.from_offset, g.to_offset,
       g.to_offset - g.from_offset AS records, g.reason, g.found_at, g.covered_at, g.covered_how AS how,
       g.covered_run AS run, u.until AS compared_until, g.covered_by AS who, g.note
FROM makegood.gaps g
JOIN makegood.routes r ON r.id = g.route_id
LEFT JOIN makegood.runs u ON u.id = g.covered_run
WHERE g.covered_at IS NOT NULL;
COMMENT ON VIEW makegood.gaps_covered IS
    'Offsets that were never read and whose payments were looked at otherwise, each with the run that did, or closed by a person.';
COMMENT ON COLUMN makegood.gaps_covered.gap IS 'Its number.';
COMMENT ON COLUMN makegood.gaps_covered.route IS 'The route that did not read them.';
COMMENT ON COLUMN makegood.gaps_covered.topic IS 'The topic.';
COMMENT ON COLUMN makegood.gaps_covered.topic_id IS 'The topic''s id when it was found.';
COMMENT ON COLUMN makegood.gaps_covered.partition IS 'The partition.';
COMMENT ON COLUMN makegood.gaps_covered.from_offset IS 'The first offset that was not read.';
COMMENT ON COLUMN makegood.gaps_covered.to_offset IS 'One past the last.';
COMMENT ON COLUMN makegood.gaps_covered.records IS 'How many offsets that are.';
COMMENT ON COLUMN makegood.gaps_covered.reason IS 'Why they were not read, as in gaps_open.';
COMMENT ON COLUMN makegood.gaps_covered.found_at IS 'When it was found; every payment they can be about became paid before.';
COMMENT ON COLUMN makegood.gaps_covered.covered_at IS 'When it was closed.';
COMMENT ON COLUMN makegood.gaps_covered.how IS 'sweep: every payment was compared; dismissed: a person closed it.';
COMMENT ON COLUMN makegood.gaps_covered.run IS 'The run that compared every payment; null for none.';
COMMENT ON COLUMN makegood.gaps_covered.compared_until IS 'Until when a payment became paid that the run compared; never before found_at.';
COMMENT ON COLUMN makegood.gaps_covered.who IS 'The person who dismissed it.';
COMMENT ON COLUMN makegood.gaps_covered.note IS 'What that person said.';

CREATE FUNCTION makegood.dismiss_gap(gap bigint, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM makegood.gaps g WHERE g.id = dismiss_gap.gap AND g.covered_at IS NULL)
        AND NOT makegood.agreed('dismiss_gap', dismiss_gap.gap::text) THEN
        RETURN;
    END IF;
    UPDATE makegood.gaps g
    SET covered_at = now(), covered_how = 'dismissed', covered_by = session_user, note = dismiss_gap.reason
    WHERE g.id = dismiss_gap.gap AND g.covered_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no open gap %', dismiss_gap.gap
            USING ERRCODE = '55000', HINT = 'SELECT * FROM makegood.gaps_open shows which are.';
    END IF;
END $$;
COMMENT ON FUNCTION makegood.dismiss_gap IS
    'Closes a gap that a person has dealt with, where no reconciler can: its payments are in no table that makegood sees.';
REVOKE ALL ON FUNCTION makegood.dismiss_gap FROM PUBLIC;

-- The numbers of these tables come from sequences, and a sequence may be behind: after an upgrade by logical
-- replication, which leaves sequences out, after setval or ALTER SEQUENCE. It is moved past the rows before the
-- next ones are written, with the owner's rights, for no other role may.
CREATE FUNCTION makegood.keep_numbers_ahead() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    numbers regclass := pg_get_serial_sequence(format('%I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME), 'id');
    newest bigint;
    is_behind boolean;
BEGIN
    EXECUTE format('SELECT max(id) FROM %I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME) INTO newest;
    EXECUTE format('SELECT $1 > s.last_value OR ($1 = s.last_value AND NOT s.is_called) FROM %s s', numbers)
        INTO is_behind USING newest;
    IF is_behind THEN
        PERFORM setval(numbers, newest);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION makegood.keep_numbers_ahead IS 'Moves a sequence that is behind past the rows of its table.';
REVOKE ALL ON FUNCTION makegood.keep_numbers_ahead FROM PUBLIC;
DO $$
DECLARE
    numbered text;
BEGIN
    FOR numbered IN
        SELECT c.table_name FROM information_schema.columns c
        WHERE c.table_schema = 'makegood' AND c.column_name = 'id' AND c.is_identity = 'YES' AND c.table_name NOT LIKE 'outbox%'
    LOOP
        EXECUTE format('CREATE TRIGGER keep_numbers_ahead BEFORE INSERT ON makegood.%I FOR EACH STATEMENT
                        EXECUTE FUNCTION makegood.keep_numbers_ahead()', numbered);
    END LOOP;
END $$;
