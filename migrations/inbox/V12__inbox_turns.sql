-- An inbox that ends: three tables filled in turn, and the oldest emptied as a whole when its turn comes. What has to be
-- known for longer is noted before, a few bytes an event.
ALTER TABLE makegood.inbox RENAME TO inbox_0;
ALTER TABLE makegood.inbox_0 RENAME CONSTRAINT inbox_pkey TO inbox_0_pkey;
ALTER INDEX makegood.inbox_applied_at RENAME TO inbox_0_applied_at;
ALTER INDEX makegood.inbox_business_key RENAME TO inbox_0_business_key;

-- No key of the whole: it would have to hold the slot, and an event must not be taken in twice whatever the slot. The
-- keys of the three and a look into the others serve, because all rows that are written at a time are of one slot.
CREATE TABLE makegood.inbox (LIKE makegood.inbox_0 INCLUDING DEFAULTS) PARTITION BY LIST (slot);
ALTER TABLE makegood.inbox
    ADD CONSTRAINT inbox_outcome_check CHECK (outcome IN ('applied', 'already', 'conflict', 'ignored')),
    ADD CONSTRAINT inbox_origin_check CHECK (origin IN ('reconcile'));
CREATE INDEX inbox_applied_at ON makegood.inbox (applied_at);
CREATE INDEX inbox_business_key ON makegood.inbox (business_key);
-- The check spares a look at each row.
ALTER TABLE makegood.inbox ATTACH PARTITION makegood.inbox_0 FOR VALUES IN (0);
ALTER TABLE makegood.inbox_0 DROP CONSTRAINT inbox_slot;
CREATE TABLE makegood.inbox_1 PARTITION OF makegood.inbox (PRIMARY KEY (event_id, route_id)) FOR VALUES IN (1);
CREATE TABLE makegood.inbox_2 PARTITION OF makegood.inbox (PRIMARY KEY (event_id, route_id)) FOR VALUES IN (2);
COMMENT ON TABLE makegood.inbox IS
    'One row an event and route. Written in the transaction that made the purchase, never changed, kept for retention.inbox at least.';
COMMENT ON COLUMN makegood.inbox.slot IS 'Which of the three tables it lies in; they are filled in turn.';
COMMENT ON TABLE makegood.inbox_0 IS 'The rows of the inbox from every third turn; emptied as a whole.';
COMMENT ON TABLE makegood.inbox_1 IS 'The rows of the inbox from every third turn; emptied as a whole.';
COMMENT ON TABLE makegood.inbox_2 IS 'The rows of the inbox from every third turn; emptied as a whole.';

-- Whoever might do something with the table of before may do it with that of today.
DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT a.privilege_type AS what, coalesce(r.rolname, 'public') AS who
        FROM pg_class c
        CROSS JOIN LATERAL aclexplode(c.relacl) a
        LEFT JOIN pg_roles r ON r.oid = a.grantee
        WHERE c.oid = 'makegood.inbox_0'::regclass AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('GRANT %s ON makegood.inbox TO %s', granted.what,
                       CASE granted.who WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(granted.who) END);
    END LOOP;
END $$;

-- Turn n fills table n % 3. The next turn begins with emptying its table, in one transaction.
CREATE TABLE makegood.inbox_turns (
    turn bigint PRIMARY KEY,
    began_at timestamptz NOT NULL DEFAULT now(),
    -- When what has to be known of its rows was noted, and the newest of those rows.
    noted_at timestamptz,
    newest_at timestamptz,
    -- Why the turn after this one does not begin although it is time.
    held text
);
COMMENT ON TABLE makegood.inbox_turns IS 'Which of the inbox''s tables is filled: that of the newest turn, modulo three.';
INSERT INTO makegood.inbox_turns (turn) VALUES (0);

-- Sorted runs of keys, a hundred to a row: a turn's are written at once, one after another, and never changed. So a
-- hundred million events cost gigabytes here where their rows cost tens of them.
CREATE TABLE makegood.inbox_ended (
    turn bigint NOT NULL,
    route_id smallint NOT NULL,
    what text COLLATE "C" NOT NULL CHECK (what IN ('event', 'had', 'ignored')),
    first_key uuid NOT NULL,
    keys uuid[] NOT NULL,
    PRIMARY KEY (route_id, what, turn, first_key)
);
-- How far its rows reached in each partition. A table is not emptied while Kafka may deliver one of its records again.
CREATE TABLE makegood.inbox_reach (
    turn bigint NOT NULL,
    route_id smallint NOT NULL,
    partition integer NOT NULL,
    last_offset bigint NOT NULL,
    PRIMARY KEY (turn, route_id, partition)
);
COMMENT ON TABLE makegood.inbox_reach IS 'The last offset among the rows of a turn.';
COMMENT ON TABLE makegood.inbox_ended IS
    'What stays of inbox rows that were removed: which events were taken in, which payments had their purchase, and which ones the mapping ignored.';
COMMENT ON COLUMN makegood.inbox_ended.what IS
    'event: events, each by its id and digest; had: payments that had their purchase; ignored: payments whose own event the mapping ignored.';
COMMENT ON COLUMN makegood.inbox_ended.keys IS 'Each as makegood.ended_key makes it, in their order; the first one is first_key.';

-- Sixteen bytes for a text or an id and digest.
CREATE FUNCTION makegood.ended_key(bytes bytea) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT encode(substring(sha256(bytes) FROM 1 FOR 16), 'hex')::uuid
$$;
COMMENT ON FUNCTION makegood.ended_key IS 'A key as makegood.inbox_ended has it.';

-- Whether a row that was removed from a turn's table said so of a key.
CREATE FUNCTION makegood.has_ended_in(turn bigint, route smallint, what text, key uuid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT has_ended_in.key = ANY (ARRAY(
        SELECT e.keys FROM makegood.inbox_ended e
        WHERE e.route_id = has_ended_in.route AND e.what = has_ended_in.what AND e.turn = has_ended_in.turn
              AND e.first_key <= has_ended_in.key
        ORDER BY e.first_key DESC
        LIMIT 1
    ))
$$;
COMMENT ON FUNCTION makegood.has_ended_in IS 'Whether makegood.inbox_ended has a key among those of a turn.';
CREATE FUNCTION makegood.has_ended(route smallint, what text, key uuid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM makegood.inbox_turns t
        WHERE t.noted_at IS NOT NULL AND makegood.has_ended_in(t.turn, has_ended.route, has_ended.what, has_ended.key)
    )
$$;
COMMENT ON FUNCTION makegood.has_ended IS 'Whether makegood.inbox_ended has a key.';

-- The slot that a transaction writes its rows to. The transaction holds the turn until its end: the next one waits for those who hold
-- this one, and whoever comes after it sees their rows when it looks which events are there. The lock comes first, in a
-- statement of its own, so that what is read after it is of the turn that it holds.
CREATE FUNCTION makegood.inbox_slot(OUT current smallint, OUT others smallint[])
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    LOCK TABLE makegood.inbox_turns IN ROW EXCLUSIVE MODE;
    -- Without its turns whatever is in the tables counts.
    SELECT coalesce(s.slots[1], 0), coalesce(s.slots[2:], '{1,2}') INTO current, others
    FROM (
        SELECT array_agg((t.turn % 3)::smallint ORDER BY t.turn DESC) AS slots
        FROM (SELECT turn FROM makegood.inbox_turns ORDER BY turn DESC LIMIT 3) t
    ) s;
END
$$;
COMMENT ON FUNCTION makegood.inbox_slot IS
    'The slot whose table the inbox''s rows go to for the rest of this transaction, and those with the rows of the turns before.';

REVOKE ALL ON FUNCTION makegood.has_ended_in, makegood.has_ended, makegood.inbox_slot FROM PUBLIC;
-- Whoever might write to the table of before may write to that of today, and end its turns.
DO $$
DECLARE
    writer text;
BEGIN
    FOR writer IN
        SELECT quote_ident(r.rolname)
        FROM pg_class c
        CROSS JOIN LATERAL aclexplode(c.relacl) a
        JOIN pg_roles r ON r.oid = a.grantee
        WHERE c.oid = 'makegood.inbox_0'::regclass AND a.grantee <> c.relowner AND a.privilege_type = 'INSERT'
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION makegood.has_ended_in, makegood.has_ended, makegood.inbox_slot TO %s', writer);
        EXECUTE format('GRANT TRUNCATE ON makegood.inbox_0, makegood.inbox_1, makegood.inbox_2 TO %s', writer);
    END LOOP;
END $$;

-- The views and functions below read the table by its name; this one was bound to the table of before.
CREATE OR REPLACE VIEW makegood.inbox_events AS
SELECT r.name AS route, i.event_id, i.outcome, i.business_key, i.detail, i.partition, i."offset",
       i.event_at, i.applied_at, i.reused_id, coalesce(i.origin, 'kafka') AS origin
FROM makegood.inbox i
JOIN makegood.routes r ON r.id = i.route_id;
