-- The payment side's only door. What cannot be sent fails here, in the caller's transaction, with words the caller can
-- act on; nothing that happens later can fail a payment.

-- Which shard a row belongs to. Not hashtext(): its values may change with a major version, and a row that changed its
-- shard could be passed over. Without a search_path of its own, which would keep it from being inlined, it must ask for
-- nothing that PostgreSQL itself has only after a cast: somebody else's operator would fit better.
CREATE FUNCTION makegood.outbox_shard(key text, seq bigint, shards smallint) RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE
        WHEN shards = 1 THEN 0
        ELSE ('x' || substr(md5(coalesce(key, seq::text)), 1, 7))::bit(28)::int % shards::int
    END::smallint
$$;
COMMENT ON FUNCTION makegood.outbox_shard(text, bigint, smallint) IS
    'The shard of an outbox row: by its key, or where it has none by its number.';

-- What is wrong with headers that are not empty, or null.
CREATE FUNCTION makegood.outbox_headers_fault(headers jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF jsonb_typeof(headers) <> 'object' THEN
        RETURN 'headers is not a JSON object';
    ELSIF EXISTS (SELECT FROM jsonb_each(headers) h WHERE jsonb_typeof(h.value) <> 'string' OR h.key = '') THEN
        RETURN 'headers must be texts, each with a name';
    ELSIF EXISTS (
        SELECT FROM jsonb_object_keys(headers) h (name)
        WHERE h.name IN ('id', 'type', 'content-type') OR left(h.name, 3) = 'ce_'
    ) THEN
        RETURN 'headers named id, type, content-type or ce_... are set by makegood';
    END IF;
    RETURN NULL;
END
$$;

-- What is wrong with texts in a database of the encoding SQL_ASCII, which takes any bytes, or null.
CREATE FUNCTION makegood.outbox_bytes_fault(VARIADIC texts text[]) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM convert_from(convert_to(t.one, 'SQL_ASCII'), 'UTF8') FROM unnest(texts) t (one);
    RETURN NULL;
EXCEPTION WHEN character_not_in_repertoire THEN
    RETURN 'the event is not in UTF-8, and this database (SQL_ASCII) does not convert it: set client_encoding to UTF8, and send that';
END
$$;
REVOKE ALL ON FUNCTION makegood.outbox_bytes_fault(text[]) FROM PUBLIC;

-- A NOTIFY into a full queue fails the transaction at its COMMIT, and the queue is full for everybody as long as one
-- listener, of whatever application, is idle in a transaction. makegood only notifies to be quick, and stops early: the
-- transaction may be committed much later.
CREATE OR REPLACE FUNCTION makegood.wake(channel text, word text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF pg_notification_queue_usage() < 0.5 THEN
        PERFORM pg_notify(channel, word);
    END IF;
END
$$;
COMMENT ON FUNCTION makegood.wake(text, text) IS 'Notifies those who listen, unless the server''s queue of notifications is half full.';
REVOKE ALL ON FUNCTION makegood.wake(text, text) FROM PUBLIC;

-- A number above "taken" and all rows that are kept: a sequence may fall behind its rows, by ALTER SEQUENCE, setval or an
-- upgrade by logical replication. Two rows of one number would be taken for each other, and lower ones would go before
-- those of their key that wait. Nobody waits here for somebody else's commit.
CREATE FUNCTION makegood.outbox_number(taken bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    number bigint;
BEGIN
    taken := greatest(taken, (SELECT max(o.seq) FROM makegood.outbox o), (SELECT max(p.seq) FROM makegood.outbox_parked p));
    FOR attempt IN 1..1000 LOOP
        number := nextval('makegood.outbox_seq');
        EXIT WHEN number > taken;
        -- "mgnumber". What others have been given and not committed yet is passed by too.
        IF pg_try_advisory_xact_lock(7883956027353883762)
            AND (SELECT s.last_value FROM makegood.outbox_seq s) <= taken THEN
            PERFORM setval('makegood.outbox_seq', taken + 10000);
        END IF;
    END LOOP;
    RETURN number;
END
$$;
REVOKE ALL ON FUNCTION makegood.outbox_number(bigint) FROM PUBLIC;

-- Who may publish what, and how much of the outbox's room it may take. With no row in it every role that may call publish
-- may name every topic; with one, those alone that are in it.
CREATE TABLE makegood.outbox_publishers (
    role text COLLATE "C" PRIMARY KEY,
    topics text[] NOT NULL,
    quota bigint CHECK (quota > 0),
    counter text NOT NULL,
    marks bigint[] NOT NULL DEFAULT '{0,0,0}'
);
COMMENT ON TABLE makegood.outbox_publishers IS
    'Roles that may publish, by themselves or as a group, to which topics, and how many bytes they may have in the outbox.';
COMMENT ON COLUMN makegood.outbox_publishers.topics IS 'The topics, or * for all.';
COMMENT ON COLUMN makegood.outbox_publishers.counter IS
    'The sequence that counts what the role publishes in units of 1 KiB, begun ones too: it waits for nobody, and a rollback takes nothing back.';
COMMENT ON COLUMN makegood.outbox_publishers.marks IS 'Where the counter stood when each of the outbox''s tables began to be filled.';

-- How much of the outbox's room a role takes with what is kept: the counter's way since the oldest turn that is there.
CREATE FUNCTION makegood.outbox_used(counter text, marks bigint[], filled integer) RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT greatest(0, coalesce(pg_sequence_last_value(counter::regclass), 0) - coalesce(marks[(filled + 1) % 3 + 1], 0)) * 1024
$$;
REVOKE ALL ON FUNCTION makegood.outbox_used(text, bigint[], integer) FROM PUBLIC;

CREATE FUNCTION makegood.outbox_mark() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE makegood.outbox_publishers
    SET marks[NEW.turn % 3 + 1] = coalesce(pg_sequence_last_value(counter::regclass), 0);
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION makegood.outbox_mark() FROM PUBLIC;
CREATE TRIGGER mark AFTER INSERT ON makegood.outbox_turns FOR EACH ROW EXECUTE FUNCTION makegood.outbox_mark();

-- Fails if the role that logged in may not publish this; else counts it.
CREATE FUNCTION makegood.outbox_admit(topic text, size integer, filled integer) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    mine record;
    used bigint;
BEGIN
    SELECT p.role, p.topics, p.quota, p.counter, p.marks, admit.topic = ANY (p.topics) OR '*' = ANY (p.topics) AS has_topic
    INTO mine
    FROM (SELECT outbox_admit.topic) admit, makegood.outbox_publishers p
    WHERE pg_has_role(session_user, to_regrole(quote_ident(p.role))::oid, 'MEMBER')
    ORDER BY 6 DESC, p.role = session_user DESC, p.role
    LIMIT 1;
    IF mine.has_topic IS NOT TRUE THEN
        RAISE EXCEPTION 'makegood.publish: role % may not publish to the topic %', session_user, outbox_admit.topic
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('Who owns the schema makegood allows it: SELECT makegood.allow_publisher(%L, %L, %s);',
                                coalesce(mine.role, session_user), coalesce(mine.topics, '{}') || outbox_admit.topic,
                                coalesce(mine.quota::text, 'NULL'));
    END IF;
    IF mine.quota IS NULL THEN
        RETURN;
    END IF;
    used := makegood.outbox_used(mine.counter, mine.marks, filled);
    IF used + size > mine.quota THEN
        RAISE EXCEPTION 'makegood.publish: role % has used up its % bytes of the outbox, sent events that are still kept included',
                mine.role, mine.quota
            USING ERRCODE = 'configuration_limit_exceeded',
                  HINT = format('Room comes as old events are removed (retention.outbox). Who owns the schema makegood gives more: SELECT makegood.allow_publisher(%L, %L, %s);',
                                mine.role, mine.topics, mine.quota * 2);
    END IF;
    PERFORM nextval(mine.counter::regclass) FROM generate_series(0, size / 1024);
END
$$;
REVOKE ALL ON FUNCTION makegood.outbox_admit(text, integer, integer) FROM PUBLIC;

CREATE FUNCTION makegood.allow_publisher(role text, topics text[], quota bigint DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    counter CONSTANT text := format('makegood.outbox_used_%s', left(md5(allow_publisher.role), 16));
BEGIN
    IF to_regrole(quote_ident(allow_publisher.role)) IS NULL THEN
        RAISE EXCEPTION 'there is no role %', allow_publisher.role USING ERRCODE = 'undefined_object';
    END IF;
    IF coalesce(cardinality(allow_publisher.topics), 0) = 0 OR array_position(allow_publisher.topics, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'name the topics, or * for all' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format('CREATE SEQUENCE IF NOT EXISTS %s CACHE 1', counter);
    INSERT INTO makegood.outbox_publishers (role, topics, quota, counter)
    VALUES (allow_publisher.role, allow_publisher.topics, allow_publisher.quota, counter)
    ON CONFLICT (role) DO UPDATE SET topics = excluded.topics, quota = excluded.quota;
    INSERT INTO makegood.audit_entries (role, action, subject, reason)
    VALUES (session_user, 'publisher', allow_publisher.role,
            format('%s, %s bytes', array_to_string(allow_publisher.topics, ' '), coalesce(allow_publisher.quota::text, 'any number of')));
END
$$;
COMMENT ON FUNCTION makegood.allow_publisher(text, text[], bigint) IS
    'Lets a role, or the members of one, publish to these topics and no others, with at most so many bytes in the outbox. From the first such call on nobody else may publish.';
REVOKE ALL ON FUNCTION makegood.allow_publisher(text, text[], bigint) FROM PUBLIC;

CREATE FUNCTION makegood.forbid_publisher(role text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    counter text;
BEGIN
    DELETE FROM makegood.outbox_publishers p WHERE p.role = forbid_publisher.role RETURNING p.counter INTO counter;
    IF counter IS NULL THEN
        RAISE EXCEPTION 'role % is not among makegood.publishers', forbid_publisher.role USING ERRCODE = 'undefined_object';
    END IF;
    EXECUTE format('DROP SEQUENCE IF EXISTS %s', counter);
    INSERT INTO makegood.audit_entries (role, action, subject, reason)
    VALUES (session_user, 'publisher', forbid_publisher.role, 'no more');
END
$$;
COMMENT ON FUNCTION makegood.forbid_publisher(text) IS
    'Takes back what allow_publisher gave. When the last role is gone, whoever may call publish may name every topic again.';
REVOKE ALL ON FUNCTION makegood.forbid_publisher(text) FROM PUBLIC;

CREATE FUNCTION makegood.publish(
    topic text, key text, event_type text, payload jsonb, headers jsonb DEFAULT '{}', event_id uuid DEFAULT gen_random_uuid()
) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- What Kafka and its clients take by default is 1,000,000 bytes, makegood's own headers included; these have the key
    -- and the type once more.
    most CONSTANT integer := 960 * 1024;
    given CONSTANT jsonb := coalesce(headers, '{}');
    body CONSTANT text := payload::text;
    size CONSTANT integer := octet_length(body) + coalesce(octet_length(key), 0) + octet_length(given::text);
    sent CONSTANT uuid := coalesce(event_id, gen_random_uuid());
    fault text;
    number bigint;
    filled integer;
    taken bigint;
    many smallint;
    asleep timestamptz;
BEGIN
    fault := CASE
        WHEN topic IS NULL OR topic = '' THEN 'topic is missing'
        -- Kafka's rule for names (org.apache.kafka.common.internals.Topic). {1,249} would take the pattern longer to
        -- match than the rest of this function takes in all.
        WHEN topic !~ '^[a-zA-Z0-9._-]+$' OR octet_length(topic) > 249 OR topic IN ('.', '..')
            THEN 'topic is no name that Kafka takes: up to 249 of a-z, A-Z, 0-9, dot, _ and -'
        WHEN key = '' THEN 'key is empty: pass NULL where order does not matter'
        -- What an index takes (2704 bytes), with room for the topic.
        WHEN octet_length(key) > 2000 THEN format('key has %s bytes and 2000 is the most', octet_length(key))
        WHEN event_type IS NULL OR event_type = '' THEN 'event_type is missing'
        WHEN octet_length(event_type) > 1000
            THEN format('event_type has %s bytes and 1000 is the most', octet_length(event_type))
        WHEN payload IS NULL THEN 'payload is missing'
        WHEN jsonb_typeof(payload) <> 'object' THEN 'payload is not a JSON object'
        WHEN size > most
            THEN format('the event has %s bytes and %s is the most: send a reference to what is large', size, most)
        WHEN given <> '{}' THEN makegood.outbox_headers_fault(given)
    END;
    IF fault IS NULL AND getdatabaseencoding() = 'SQL_ASCII' THEN
        fault := makegood.outbox_bytes_fault(key, event_type, body, given::text);
    END IF;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'makegood.publish: %', fault
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'makegood.publish(topic, key, event_type, payload jsonb, headers jsonb, event_id uuid)';
    END IF;

    -- Who publishes reads nothing that other publishers write: serializable transactions would fail each other.
    SELECT t.turn % 3 INTO filled FROM makegood.outbox_turns t ORDER BY t.turn DESC LIMIT 1;
    IF EXISTS (SELECT FROM makegood.outbox_publishers) THEN
        PERFORM makegood.outbox_admit(topic, size, coalesce(filled, 0));
    END IF;
    SELECT s.shards, s.sleeps_until, s.top_seq INTO many, asleep, taken
    FROM makegood.outbox_steps s
    WHERE s.shard = 0
    ORDER BY s.step DESC
    LIMIT 1;
    number := nextval('makegood.outbox_seq');
    LOOP
        IF number <= taken THEN
            number := makegood.outbox_number(taken);
        END IF;
        INSERT INTO makegood.outbox (seq, slot, bytes, id, aggregatetype, aggregateid, type, payload, headers)
        VALUES (number, coalesce(filled, 0), size, sent, topic, key, event_type, body, given)
        ON CONFLICT (seq, slot) DO NOTHING;
        EXIT WHEN FOUND;
        taken := number;
    END LOOP;

    -- A NOTIFY takes a lock of the whole database at commit: harmless while the relay sleeps, ruinous under load. A
    -- relay that died asleep is believed for a few seconds only.
    IF many > 1 THEN
        SELECT s.sleeps_until INTO asleep
        FROM makegood.outbox_steps s
        WHERE s.shard = makegood.outbox_shard(key, number, many)
        ORDER BY s.step DESC
        LIMIT 1;
    END IF;
    -- Nobody sleeps longer than a lease lasts: that was another clock.
    IF asleep > clock_timestamp() AND asleep <= clock_timestamp() + interval '6 seconds' THEN
        PERFORM makegood.wake('makegood_outbox', '');
    END IF;
    RETURN sent;
END
$$;
COMMENT ON FUNCTION makegood.publish(text, text, text, jsonb, jsonb, uuid) IS
    'Publishes an event with the transaction it is called in: a rollback publishes nothing. Returns the event''s id.';

-- EXECUTE is everybody's by default.
REVOKE ALL ON FUNCTION makegood.publish(text, text, text, jsonb, jsonb, uuid) FROM PUBLIC;
