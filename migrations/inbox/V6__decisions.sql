-- Decisions on quarantined records: what people may ask for, and the view that tells what came of it.
CREATE VIEW makegood.quarantine_decisions AS
SELECT d.id AS decision, d.kind, r.name AS route, d.quarantine_id, d.decided_by, d.decided_via, d.decided_at, d.reason,
       CASE WHEN d.finished_at IS NOT NULL THEN 'done'
            WHEN d.kind = 'accept' AND d.started_at IS NOT NULL THEN 'in force'
            WHEN d.held IS NOT NULL THEN 'held'
            ELSE 'waiting' END AS state,
       d.held, d.started_at, d.finished_at, d.outcome, d.detail
FROM makegood.decisions d
JOIN makegood.routes r ON r.id = d.route_id;
COMMENT ON VIEW makegood.quarantine_decisions IS
    'What people decided on quarantined records: replayed, discarded, or accepted too many of them.';
COMMENT ON COLUMN makegood.quarantine_decisions.decision IS 'Its number, as the function returned it.';
COMMENT ON COLUMN makegood.quarantine_decisions.kind IS
    'replay: apply the record again; discard: give it up; accept: let refused records into quarantine without a proof.';
COMMENT ON COLUMN makegood.quarantine_decisions.route IS 'The route.';
COMMENT ON COLUMN makegood.quarantine_decisions.quarantine_id IS 'The record; null for accept.';
COMMENT ON COLUMN makegood.quarantine_decisions.decided_by IS 'The role that decided, as it logged in.';
COMMENT ON COLUMN makegood.quarantine_decisions.decided_via IS 'How: sql or cli, by what the application calls itself.';
COMMENT ON COLUMN makegood.quarantine_decisions.decided_at IS 'When.';
COMMENT ON COLUMN makegood.quarantine_decisions.reason IS 'Why, if that was said.';
COMMENT ON COLUMN makegood.quarantine_decisions.state IS
    'waiting: for a daemon, or for refused records; held: see held, it goes on by itself; in force: refused records go to quarantine; done.';
COMMENT ON COLUMN makegood.quarantine_decisions.held IS 'Why a replay waits, if it was tried.';
COMMENT ON COLUMN makegood.quarantine_decisions.started_at IS 'When it first took effect.';
COMMENT ON COLUMN makegood.quarantine_decisions.finished_at IS 'When it was over.';
COMMENT ON COLUMN makegood.quarantine_decisions.outcome IS
    'For a replay applied, already, conflict, ignored or other_type; healed: the payment is missing no purchase; settled: dealt with before; rejected, refused, undecodable, no_payment or mismatch: it stays in quarantine.';
COMMENT ON COLUMN makegood.quarantine_decisions.detail IS 'What there is to say about the outcome.';

CREATE FUNCTION makegood.decided_via() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN current_setting('application_name') = 'makegood-cli' THEN 'cli' ELSE 'sql' END
$$;
COMMENT ON FUNCTION makegood.decided_via IS 'Whether the command line asks, for the record.';

-- As in V5: the owner's rights, a fixed search_path, names in full, and nothing given becomes SQL.
CREATE FUNCTION makegood.replay(quarantine_id bigint, reason text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
-- For ON CONFLICT, which cannot name a column in full.
#variable_conflict use_column
DECLARE
    route smallint;
    decision bigint;
BEGIN
    SELECT q.route_id INTO route FROM makegood.quarantine q WHERE q.id = replay.quarantine_id;
    IF route IS NULL THEN
        RAISE EXCEPTION 'quarantine has no record %', replay.quarantine_id
            USING ERRCODE = '55000', HINT = 'SELECT id, reason, detail FROM makegood.quarantine_open shows which there are.';
    END IF;
    IF NOT makegood.agreed('replay', replay.quarantine_id::text) THEN
        RETURN NULL;
    END IF;
    LOOP
        INSERT INTO makegood.decisions (kind, route_id, quarantine_id, decided_by, decided_via, reason)
        VALUES ('replay', route, replay.quarantine_id, session_user, makegood.decided_via(), replay.reason)
        ON CONFLICT (quarantine_id) WHERE kind = 'replay' AND finished_at IS NULL DO NOTHING
        RETURNING id INTO decision;
        IF decision IS NULL THEN
            SELECT d.id INTO decision
            FROM makegood.decisions d
            WHERE d.quarantine_id = replay.quarantine_id AND d.kind = 'replay' AND d.finished_at IS NULL;
        END IF;
        -- The one it met may be over by now; then this is one of its own.
        EXIT WHEN decision IS NOT NULL;
    END LOOP;
    PERFORM makegood.wake('makegood_replay', '');
    RETURN decision;
END $$;
COMMENT ON FUNCTION makegood.replay IS
    'Has a daemon apply a quarantined record again, with the mapping and the rules of today, from its exact bytes. Returns the decision''s number; quarantine_decisions tells what came of it.';

CREATE FUNCTION makegood.discard(quarantine_id bigint, reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    route smallint;
    decision bigint;
BEGIN
    IF coalesce(btrim(discard.reason), '') = '' THEN
        RAISE EXCEPTION 'say why' USING ERRCODE = '22023', HINT = 'makegood.discard(quarantine_id, reason)';
    END IF;
    IF EXISTS (SELECT FROM makegood.quarantine q WHERE q.id = discard.quarantine_id AND q.resolved_at IS NULL)
        AND NOT makegood.agreed('discard', discard.quarantine_id::text) THEN
        RETURN NULL;
    END IF;
    -- A replay that waits is overtaken. First, in the order in which a daemon locks them.
    UPDATE makegood.decisions d
    SET finished_at = clock_timestamp(), outcome = 'settled', detail = 'the record was discarded', held = NULL
    WHERE d.quarantine_id = discard.quarantine_id AND d.kind = 'replay' AND d.finished_at IS NULL;
    UPDATE makegood.quarantine q
    SET resolved_at = clock_timestamp(), resolution = 'discarded'
    WHERE q.id = discard.quarantine_id AND q.resolved_at IS NULL
    RETURNING q.route_id INTO route;
    IF route IS NULL THEN
        RAISE EXCEPTION 'no record % waits in quarantine', discard.quarantine_id
            USING ERRCODE = '55000', HINT = 'SELECT id, reason, detail FROM makegood.quarantine_open shows which do.';
    END IF;
    -- The payment that a discarded event was made from stays without a purchase, as after dismiss().
    UPDATE makegood.findings f
    SET resolved_at = clock_timestamp(), resolution = 'dismissed', resolved_by = session_user, note = discard.reason
    WHERE f.quarantine_id = discard.quarantine_id AND f.resolved_at IS NULL;
    INSERT INTO makegood.decisions
        (kind, route_id, quarantine_id, decided_by, decided_via, reason, started_at, finished_at, outcome)
    VALUES ('discard', route, discard.quarantine_id, session_user, makegood.decided_via(), discard.reason,
            clock_timestamp(), clock_timestamp(), 'discarded')
    RETURNING id INTO decision;
    RETURN decision;
END $$;
COMMENT ON FUNCTION makegood.discard IS
    'Gives a quarantined record up, and says why. Its bytes stay, and replay takes it back.';

CREATE FUNCTION makegood.accept(route text, reason text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known smallint;
    decision bigint;
BEGIN
    -- The lock keeps two who accept at once in turn.
    SELECT r.id INTO known FROM makegood.routes r WHERE r.name = accept.route FOR UPDATE;
    IF known IS NULL THEN
        RAISE EXCEPTION 'there is no route %', accept.route USING ERRCODE = '22023',
            HINT = format('the routes are: %s', (SELECT string_agg(r.name, ', ' ORDER BY r.name) FROM makegood.routes r));
    END IF;
    IF NOT makegood.agreed('accept', accept.route) THEN
        RETURN NULL;
    END IF;
    UPDATE makegood.decisions d
    SET finished_at = clock_timestamp(), outcome = 'ended', detail = 'accepted anew'
    WHERE d.route_id = known AND d.kind = 'accept' AND d.finished_at IS NULL;
    INSERT INTO makegood.decisions (kind, route_id, decided_by, decided_via, reason)
    VALUES ('accept', known, session_user, makegood.decided_via(), accept.reason)
    RETURNING id INTO decision;
    RETURN decision;
END $$;
COMMENT ON FUNCTION makegood.accept IS
    'Lets what a route''s database refuses into quarantine without a proof, until a record is applied. Void if not needed within an hour.';

REVOKE ALL ON FUNCTION makegood.replay, makegood.discard, makegood.accept, makegood.decided_via FROM PUBLIC;
