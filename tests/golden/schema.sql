CREATE SCHEMA makegood;

CREATE FUNCTION makegood.accept(route text, reason text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION makegood.accept(route text, reason text) IS 'Lets what a route''s database refuses into quarantine without a proof, until a record is applied. Void if not needed within an hour.';

CREATE FUNCTION makegood.agreed(action text, subject text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    other text;
BEGIN
    IF NOT coalesce((SELECT f.required FROM makegood.four_eyes f), false) THEN
        RETURN true;
    END IF;
    LOOP
        UPDATE makegood.asks a
        SET approved_by = session_user, approved_at = clock_timestamp()
        WHERE a.action = agreed.action AND a.subject = agreed.subject AND a.approved_at IS NULL AND a.asked_by <> session_user
              AND a.asked_at BETWEEN clock_timestamp() - interval '1 day' AND clock_timestamp() + interval '1 minute'
        RETURNING a.asked_by INTO other;
        EXIT WHEN FOUND;
        INSERT INTO makegood.asks AS a (action, subject)
        VALUES (agreed.action, agreed.subject)
        ON CONFLICT (action, subject) WHERE approved_at IS NULL
            DO UPDATE SET asked_by = session_user, asked_at = clock_timestamp()
            WHERE a.asked_by = session_user
                  OR a.asked_at NOT BETWEEN clock_timestamp() - interval '1 day' AND clock_timestamp() + interval '1 minute';
        -- Another one may have asked meanwhile; then this is the second.
        EXIT WHEN FOUND;
    END LOOP;
    INSERT INTO makegood.audit_entries (role, action, subject, reason)
    VALUES (session_user, CASE WHEN other IS NULL THEN 'ask' ELSE 'agree' END, agreed.subject,
            concat_ws(' ', agreed.action, 'asked for by ' || other));
    IF other IS NULL THEN
        RAISE NOTICE 'noted, not done: decisions take two roles here, and another one must ask for the same within a day';
    END IF;
    RETURN other IS NOT NULL;
END $$;

CREATE FUNCTION makegood.allow_publisher(role text, topics text[], quota bigint DEFAULT NULL::bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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

COMMENT ON FUNCTION makegood.allow_publisher(role text, topics text[], quota bigint) IS 'Lets a role, or the members of one, publish to these topics and no others, with at most so many bytes in the outbox. From the first such call on nobody else may publish.';

CREATE FUNCTION makegood.approve(run bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF coalesce((SELECT f.required FROM makegood.four_eyes f), false) AND EXISTS (
        SELECT FROM makegood.runs r
        WHERE r.id = approve.run AND r.state = 'held' AND r.requested_via IN ('sql', 'cli') AND r.requested_by = session_user
    ) THEN
        RAISE EXCEPTION 'run % was asked for by %, who may not approve it too', approve.run, session_user
            USING ERRCODE = '42501', HINT = 'Decisions take two roles here: another one must approve it.';
    END IF;
    UPDATE makegood.runs r
    SET state = 'requested', held = NULL, approved_by = session_user, approved_at = now()
    WHERE r.id = approve.run AND r.state = 'held';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'run % is not held', approve.run
            USING ERRCODE = '55000', HINT = 'SELECT run, state, held FROM makegood.reconcile_runs shows which are.';
    END IF;
    PERFORM makegood.wake('makegood_reconcile', run::text);
END $$;

COMMENT ON FUNCTION makegood.approve(run bigint) IS 'Lets a held run go on where it stopped, without the brake.';

CREATE FUNCTION makegood.audit_keep() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION 'what people decided is only ever added to (%)', TG_TABLE_NAME USING ERRCODE = '42501';
END $$;

CREATE FUNCTION makegood.audit_note() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    given CONSTANT jsonb := to_jsonb(NEW);
BEGIN
    INSERT INTO makegood.audit_entries (role, action, subject, reason)
    VALUES (session_user, coalesce(given ->> TG_ARGV[0], TG_ARGV[0]), given ->> TG_ARGV[1], given ->> TG_ARGV[2]);
    RETURN NULL;
END $$;

CREATE FUNCTION makegood.audit_stamp() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    NEW.at := clock_timestamp();
    NEW.role := session_user;
    NEW.application := nullif(current_setting('application_name'), '');
    NEW.address := inet_client_addr();
    RETURN NEW;
END $$;

CREATE FUNCTION makegood.decided_via() RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT CASE WHEN current_setting('application_name') = 'makegood-cli' THEN 'cli' ELSE 'sql' END
$$;

COMMENT ON FUNCTION makegood.decided_via() IS 'Whether the command line asks, for the record.';

CREATE FUNCTION makegood.discard(quarantine_id bigint, reason text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION makegood.discard(quarantine_id bigint, reason text) IS 'Gives a quarantined record up, and says why. Its bytes stay, and replay takes it back.';

CREATE FUNCTION makegood.dismiss(finding bigint, reason text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF EXISTS (SELECT FROM makegood.findings f WHERE f.id = dismiss.finding AND f.resolved_at IS NULL)
        AND NOT makegood.agreed('dismiss', dismiss.finding::text) THEN
        RETURN;
    END IF;
    UPDATE makegood.findings f
    SET resolved_at = now(), resolution = 'dismissed', resolved_by = session_user, note = dismiss.reason
    WHERE f.id = dismiss.finding AND f.resolved_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no open finding %', dismiss.finding USING ERRCODE = '55000';
    END IF;
END $$;

COMMENT ON FUNCTION makegood.dismiss(finding bigint, reason text) IS 'Closes a finding that a person has decided on. The same finding with the same values does not come back, and a missing purchase is not made.';

CREATE FUNCTION makegood.dismiss_gap(gap bigint, reason text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION makegood.dismiss_gap(gap bigint, reason text) IS 'Closes a gap that a person has dealt with, where no reconciler can: its payments are in no table that makegood sees.';

CREATE FUNCTION makegood.ended_key(bytes bytea) RETURNS uuid
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT encode(substring(sha256(bytes) FROM 1 FOR 16), 'hex')::uuid
$$;

COMMENT ON FUNCTION makegood.ended_key(bytes bytea) IS 'A key as makegood.inbox_ended has it.';

CREATE FUNCTION makegood.explain(id text) RETURNS TABLE(at timestamp with time zone, part text, what text, business_key text, contents jsonb)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH given AS MATERIALIZED (
        SELECT CASE WHEN explain.id ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$'
                    THEN explain.id::uuid END AS event_id
    ), key AS MATERIALIZED (
        SELECT explain.id AS business_key
        UNION
        SELECT i.business_key FROM makegood.inbox i JOIN given USING (event_id) WHERE i.business_key IS NOT NULL
        UNION
        SELECT q.business_key FROM makegood.quarantine q JOIN given USING (event_id) WHERE q.business_key IS NOT NULL
        UNION
        -- Keys of several columns that begin with the payment.
        SELECT DISTINCT f.business_key
        FROM (SELECT rtrim(jsonb_build_array(explain.id)::text, ']') AS head) h
        CROSS JOIN LATERAL (
            SELECT i.business_key FROM makegood.inbox i WHERE i.business_key >= h.head || ', ' AND i.business_key < h.head || ',!'
            UNION ALL
            SELECT q.business_key FROM makegood.quarantine q WHERE q.business_key >= h.head || ', ' AND q.business_key < h.head || ',!'
            UNION ALL
            SELECT f.business_key FROM makegood.findings f WHERE f.business_key >= h.head || ', ' AND f.business_key < h.head || ',!'
        ) f
    )
    SELECT i.applied_at, 'inbox', i.outcome, i.business_key,
           jsonb_build_object('eventId', i.event_id, 'route', r.name, 'partition', i.partition, 'offset', i."offset",
                              'eventAt', i.event_at, 'origin', coalesce(i.origin, 'kafka'), 'detail', i.detail)
    FROM makegood.inbox i
    JOIN makegood.routes r ON r.id = i.route_id
    WHERE i.business_key = ANY (ARRAY(SELECT key.business_key FROM key)) OR i.event_id = ANY (ARRAY(SELECT given.event_id FROM given))
    UNION ALL
    -- Of a row that was removed it is known that it was there, and when its turn lasted.
    SELECT t.newest_at, 'inbox', 'ended', k.business_key,
           jsonb_build_object('route', r.name, 'from', t.began_at, 'until', t.newest_at, 'detail', CASE e.what
               WHEN 'had' THEN 'its purchase was made or was there; the row was removed after retention.inbox'
               ELSE 'the mapping had nothing to do for it; the row was removed after retention.inbox' END)
    FROM key k
    CROSS JOIN makegood.routes r
    CROSS JOIN makegood.inbox_turns t
    CROSS JOIN (VALUES ('had'), ('ignored')) e (what)
    WHERE t.noted_at IS NOT NULL AND makegood.has_ended_in(t.turn, r.id, e.what, makegood.ended_key(convert_to(k.business_key, 'UTF8')))
    UNION ALL
    SELECT q.quarantined_at, 'quarantine', CASE WHEN q.resolved_at IS NOT NULL THEN coalesce(q.resolution, 'dealt with') WHEN q.judged_at IS NULL THEN 'suspect' ELSE 'open' END, q.business_key,
           jsonb_build_object('quarantineId', q.id, 'eventId', q.event_id, 'route', r.name, 'reason', q.reason,
                              'detail', q.detail, 'topic', q.topic, 'partition', q.partition, 'offset', q."offset",
                              'attempts', q.attempts, 'resolvedAt', q.resolved_at)
    FROM makegood.quarantine q
    JOIN makegood.routes r ON r.id = q.route_id
    WHERE q.business_key = ANY (ARRAY(SELECT key.business_key FROM key)) OR q.event_id = ANY (ARRAY(SELECT given.event_id FROM given))
    UNION ALL
    SELECT d.decided_at, 'decision', d.kind, q.business_key,
           jsonb_build_object('decision', d.id, 'quarantineId', q.id, 'by', d.decided_by, 'via', d.decided_via, 'reason', d.reason,
                              'held', d.held, 'outcome', d.outcome, 'detail', d.detail, 'finishedAt', d.finished_at)
    FROM makegood.quarantine q
    JOIN makegood.decisions d ON d.quarantine_id = q.id
    WHERE q.business_key = ANY (ARRAY(SELECT key.business_key FROM key)) OR q.event_id = ANY (ARRAY(SELECT given.event_id FROM given))
    UNION ALL
    SELECT f.first_seen_at, 'finding', f.kind, f.business_key,
           jsonb_build_object('finding', f.id, 'job', f.job, 'run', f.run_id, 'paidAt', f.paid_at, 'detail', f.detail,
                              'resolution', coalesce(f.resolution, 'open'), 'resolvedAt', f.resolved_at,
                              'resolvedRun', f.resolved_run_id, 'note', f.note)
    FROM makegood.findings f
    WHERE f.business_key IN (SELECT key.business_key FROM key)
    ORDER BY 1;
    IF NOT FOUND THEN
        -- Its event may be among those that nobody has read yet.
        RETURN QUERY
        SELECT max(c.log_seen_at), 'kafka', 'unread records', NULL::text,
               jsonb_build_object('route', c.route, 'topic', c.topic, 'records', sum(c.lag),
                                  'detail', 'its event may be among them: makegood explain ID looks')
        FROM makegood.consumer_positions c
        WHERE c.is_current AND c.lag > 0
        GROUP BY c.route, c.topic;
    END IF;
    -- The outbox may be in another database, which this one cannot ask.
    IF to_regprocedure('makegood.outbox_life(text[], uuid[])') IS NOT NULL THEN
        RETURN QUERY EXECUTE 'SELECT at, part, what, NULL::text, contents FROM makegood.outbox_life(ARRAY[$1], $2)'
            USING explain.id, array_remove(ARRAY[
                CASE WHEN explain.id ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' THEN explain.id::uuid END
            ], NULL);
    END IF;
END $_$;

COMMENT ON FUNCTION makegood.explain(id text) IS 'What makegood''s own tables know of a payment, by its id or its event''s, in the order of time. makegood explain ID adds the host''s rows and the records in Kafka.';

CREATE FUNCTION makegood.forbid_publisher(role text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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

COMMENT ON FUNCTION makegood.forbid_publisher(role text) IS 'Takes back what allow_publisher gave. When the last role is gone, whoever may call publish may name every topic again.';

CREATE FUNCTION makegood.has_ended(route smallint, what text, key uuid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT EXISTS (
        SELECT FROM makegood.inbox_turns t
        WHERE t.noted_at IS NOT NULL AND makegood.has_ended_in(t.turn, has_ended.route, has_ended.what, has_ended.key)
    )
$$;

COMMENT ON FUNCTION makegood.has_ended(route smallint, what text, key uuid) IS 'Whether makegood.inbox_ended has a key.';

CREATE FUNCTION makegood.has_ended_in(turn bigint, route smallint, what text, key uuid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT has_ended_in.key = ANY (ARRAY(
        SELECT e.keys FROM makegood.inbox_ended e
        WHERE e.route_id = has_ended_in.route AND e.what = has_ended_in.what AND e.turn = has_ended_in.turn
              AND e.first_key <= has_ended_in.key
        ORDER BY e.first_key DESC
        LIMIT 1
    ))
$$;

COMMENT ON FUNCTION makegood.has_ended_in(turn bigint, route smallint, what text, key uuid) IS 'Whether makegood.inbox_ended has a key among those of a turn.';

CREATE FUNCTION makegood.inbox_slot(OUT current smallint, OUT others smallint[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION makegood.inbox_slot(OUT current smallint, OUT others smallint[]) IS 'The slot whose table the inbox''s rows go to for the rest of this transaction, and those with the rows of the turns before.';

CREATE FUNCTION makegood.keep_numbers_ahead() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
END $_$;

COMMENT ON FUNCTION makegood.keep_numbers_ahead() IS 'Moves a sequence that is behind past the rows of its table.';

CREATE FUNCTION makegood.outbox_admit(topic text, size integer, filled integer) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
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

CREATE FUNCTION makegood.outbox_bytes_fault(VARIADIC texts text[]) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM convert_from(convert_to(t.one, 'SQL_ASCII'), 'UTF8') FROM unnest(texts) t (one);
    RETURN NULL;
EXCEPTION WHEN character_not_in_repertoire THEN
    RETURN 'the event is not in UTF-8, and this database (SQL_ASCII) does not convert it: set client_encoding to UTF8, and send that';
END
$$;

CREATE FUNCTION makegood.outbox_discard_stamp() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    NEW.discarded_by := session_user;
    RETURN NEW;
END $$;

CREATE FUNCTION makegood.outbox_headers_fault(headers jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
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

CREATE FUNCTION makegood.outbox_life(payments text[], events uuid[]) RETURNS TABLE(at timestamp with time zone, part text, what text, contents jsonb)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    WITH unsent AS MATERIALIZED (
        SELECT seq FROM makegood.outbox_unsent()
    ), event AS (
        SELECT o.seq, o.created_at, o.id, o.aggregatetype, o.aggregateid, o.type,
               CASE WHEN EXISTS (SELECT FROM unsent u WHERE u.seq = o.seq) THEN 'pending' ELSE 'sent' END AS what
        FROM makegood.outbox o
        WHERE (o.id = ANY (outbox_life.events) OR o.aggregateid = ANY (outbox_life.payments))
              AND NOT EXISTS (SELECT FROM makegood.outbox_parked p WHERE p.seq = o.seq)
              AND NOT EXISTS (SELECT FROM makegood.outbox_discarded d WHERE d.id = o.id AND d.seq = o.seq)
        UNION ALL
        SELECT p.seq, p.created_at, p.id, p.aggregatetype, p.aggregateid, p.type,
               CASE WHEN p.by_topic THEN 'held' ELSE 'parked' END
        FROM makegood.outbox_parked p
        WHERE p.id = ANY (outbox_life.events) OR p.aggregateid = ANY (outbox_life.payments)
        UNION ALL
        SELECT d.seq, d.created_at, d.id, d.aggregatetype, d.aggregateid, d.type, 'discarded'
        FROM makegood.outbox_discarded d
        WHERE d.id = ANY (outbox_life.events) OR d.aggregateid = ANY (outbox_life.payments)
    )
    SELECT e.created_at, 'outbox', e.what,
           jsonb_build_object('eventId', e.id, 'topic', e.aggregatetype, 'key', e.aggregateid, 'type', e.type,
                              'reason', p.reason, 'parkedAt', p.parked_at, 'retryAt', p.retry_at) AS contents
    FROM event e
    LEFT JOIN makegood.outbox_parked p ON p.seq = e.seq
    ORDER BY e.seq
    LIMIT 50
$$;

COMMENT ON FUNCTION makegood.outbox_life(payments text[], events uuid[]) IS 'What the outbox knows of events by their ids, or of payments whose ids are the keys; makegood.explain asks it.';

CREATE FUNCTION makegood.outbox_mark() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    UPDATE makegood.outbox_publishers
    SET marks[NEW.turn % 3 + 1] = coalesce(pg_sequence_last_value(counter::regclass), 0);
    RETURN NULL;
END
$$;

CREATE FUNCTION makegood.outbox_number(taken bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
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

CREATE FUNCTION makegood.outbox_publishers_used() RETURNS TABLE(role text, topics text[], quota bigint, used bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT p.role, p.topics, p.quota,
           CASE WHEN p.quota IS NOT NULL THEN makegood.outbox_used(p.counter, p.marks, coalesce((SELECT max(t.turn) FROM makegood.outbox_turns t) % 3, 0)::integer) END
    FROM makegood.outbox_publishers p
$$;

CREATE FUNCTION makegood.outbox_shard(key text, seq bigint, shards smallint) RETURNS smallint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE
        WHEN shards = 1 THEN 0
        ELSE ('x' || substr(md5(coalesce(key, seq::text)), 1, 7))::bit(28)::int % shards::int
    END::smallint
$$;

COMMENT ON FUNCTION makegood.outbox_shard(key text, seq bigint, shards smallint) IS 'The shard of an outbox row: by its key, or where it has none by its number.';

CREATE FUNCTION makegood.outbox_unsent() RETURNS TABLE(event_id uuid, topic text, key text, event_type text, bytes integer, created_at timestamp with time zone, seq bigint, reason text, advice text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
    SELECT o.id, o.aggregatetype, o.aggregateid, o.type, o.bytes, o.created_at, o.seq, NULL, NULL
    FROM makegood.outbox_cursor c
    CROSS JOIN LATERAL (
        SELECT late.*
        FROM makegood.outbox late
        WHERE late.xid = ANY (ARRAY(SELECT pg_snapshot_xip(c.from_snapshot)))
        UNION ALL
        SELECT new.*
        FROM makegood.outbox new
        WHERE new.xid >= pg_snapshot_xmax(c.from_snapshot)
    ) o
    WHERE makegood.outbox_shard(o.aggregateid, o.seq, c.shards) = c.shard
          AND NOT (o.seq <= c.last_seq AND pg_visible_in_snapshot(o.xid, c.to_snapshot))
    UNION ALL
    SELECT p.id, p.aggregatetype, p.aggregateid, p.type, p.bytes, p.created_at, p.seq, p.reason, p.advice
    FROM makegood.outbox_parked p
    WHERE p.by_topic
$$;

COMMENT ON FUNCTION makegood.outbox_unsent() IS 'The rows that the relay''s cursor has not passed yet and those whose topic takes nothing, without their contents.';

CREATE FUNCTION makegood.outbox_used(counter text, marks bigint[], filled integer) RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT greatest(0, coalesce(pg_sequence_last_value(counter::regclass), 0) - coalesce(marks[(filled + 1) % 3 + 1], 0)) * 1024
$$;

CREATE FUNCTION makegood.publish(topic text, key text, event_type text, payload jsonb, headers jsonb DEFAULT '{}'::jsonb, event_id uuid DEFAULT gen_random_uuid()) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

COMMENT ON FUNCTION makegood.publish(topic text, key text, event_type text, payload jsonb, headers jsonb, event_id uuid) IS 'Publishes an event with the transaction it is called in: a rollback publishes nothing. Returns the event''s id.';

CREATE FUNCTION makegood.reconcile(job text DEFAULT NULL::text, since timestamp with time zone DEFAULT NULL::timestamp with time zone, until timestamp with time zone DEFAULT NULL::timestamp with time zone, dry_run boolean DEFAULT false) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    first CONSTANT timestamptz := '0001-01-01 00:00Z';
    last CONSTANT timestamptz := '9999-12-30 00:00Z';
    known text[] := ARRAY(SELECT j.name FROM makegood.jobs j ORDER BY j.name);
    wanted text := coalesce(reconcile.job, CASE WHEN cardinality(known) = 1 THEN known[1] END);
    run bigint;
BEGIN
    IF cardinality(known) > 0 AND wanted IS NULL THEN
        RAISE EXCEPTION 'there are several jobs, name one of them: %', array_to_string(known, ', ') USING ERRCODE = '22023';
    ELSIF cardinality(known) > 0 AND wanted <> ALL (known) THEN
        RAISE EXCEPTION 'there is no job %; the jobs are: %', wanted, array_to_string(known, ', ') USING ERRCODE = '22023';
    END IF;
    -- These two say what null says.
    since := nullif(reconcile.since, '-infinity');
    until := nullif(reconcile.until, 'infinity');
    IF reconcile.since >= reconcile.until THEN
        RAISE EXCEPTION 'since is not before until' USING ERRCODE = '22023';
    END IF;
    -- No daemon can hold others, infinity among them.
    IF NOT reconcile.since BETWEEN first AND last OR NOT reconcile.until BETWEEN first AND last THEN
        RAISE EXCEPTION 'since and until must be times of the years 1 to 9999' USING ERRCODE = '22023';
    END IF;
    LOOP
        INSERT INTO makegood.runs (job, since, until, dry_run, requested_by, requested_via)
        VALUES (wanted, reconcile.since, reconcile.until, coalesce(reconcile.dry_run, false), session_user,
                CASE WHEN current_setting('application_name') = 'makegood-cli' THEN 'cli' ELSE 'sql' END)
        ON CONFLICT (coalesce(job, ''), coalesce(since, '-infinity'), coalesce(until, 'infinity'), dry_run)
            WHERE state = 'requested' AND approved_at IS NULL DO NOTHING
        RETURNING id INTO run;
        IF run IS NULL THEN
            SELECT r.id INTO run
            FROM makegood.runs r
            WHERE r.state = 'requested' AND r.approved_at IS NULL AND r.job IS NOT DISTINCT FROM wanted
                  AND r.since IS NOT DISTINCT FROM reconcile.since AND r.until IS NOT DISTINCT FROM reconcile.until
                  AND r.dry_run = coalesce(reconcile.dry_run, false);
        END IF;
        -- The request it met may have begun meanwhile; then this one is a run of its own.
        EXIT WHEN run IS NOT NULL;
    END LOOP;
    PERFORM makegood.wake('makegood_reconcile', run::text);
    RETURN run;
END $$;

COMMENT ON FUNCTION makegood.reconcile(job text, since timestamp with time zone, until timestamp with time zone, dry_run boolean) IS 'Asks for a run of the reconciler and returns its number; reconcile_runs tells what becomes of it. Without since it sweeps from the first payment on, without until up to now less the grace.';

CREATE FUNCTION makegood.replay(quarantine_id bigint, reason text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION makegood.replay(quarantine_id bigint, reason text) IS 'Has a daemon apply a quarantined record again, with the mapping and the rules of today, from its exact bytes. Returns the decision''s number; quarantine_decisions tells what came of it.';

CREATE FUNCTION makegood.require_four_eyes(required boolean) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO makegood.four_eyes (required) VALUES (require_four_eyes.required)
    ON CONFLICT (is_one) DO UPDATE SET required = excluded.required;
    INSERT INTO makegood.audit_entries (role, action, reason)
    VALUES (session_user, 'four_eyes', require_four_eyes.required::text);
END $$;

COMMENT ON FUNCTION makegood.require_four_eyes(required boolean) IS 'For the schema''s owner: has replay, discard, accept, dismiss and dismiss_gap take two roles, and keeps who asked for a run from approving it.';

CREATE FUNCTION makegood.run_stamp() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    NEW.requested_by := session_user;
    RETURN NEW;
END $$;

CREATE FUNCTION makegood.trim_runs(job text) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    DELETE FROM makegood.runs r
    WHERE r.job = trim_runs.job AND r.requested_via = 'schedule' AND r.approved_at IS NULL AND r.state = 'done'
          AND r.finished_at < now() - interval '7 days'
          AND r.missing = 0 AND r.gone = 0 AND r.conflicts = 0 AND r.quarantined = 0
$$;

COMMENT ON FUNCTION makegood.trim_runs(job text) IS 'Deletes scheduled runs of a job that are a week old and found nothing.';

CREATE FUNCTION makegood.wake(channel text, word text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF pg_notification_queue_usage() < 0.5 THEN
        PERFORM pg_notify(channel, word);
    END IF;
END
$$;

COMMENT ON FUNCTION makegood.wake(channel text, word text) IS 'Notifies those who listen, unless the server''s queue of notifications is half full.';

CREATE TABLE makegood.asks (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    action text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    asked_by text DEFAULT SESSION_USER NOT NULL COLLATE pg_catalog."C",
    asked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    approved_by text COLLATE pg_catalog."C",
    approved_at timestamp with time zone,
    CONSTRAINT asks_check CHECK ((approved_by <> asked_by))
);

COMMENT ON TABLE makegood.asks IS 'What one role asked for while decisions take two, and which other one asked for the same.';

CREATE VIEW makegood.asks_waiting AS
 SELECT a.action,
    a.subject,
    a.asked_by,
    a.asked_at
   FROM makegood.asks a
  WHERE ((a.approved_at IS NULL) AND ((a.asked_at >= (now() - '1 day'::interval)) AND (a.asked_at <= (now() + '00:01:00'::interval))));

COMMENT ON VIEW makegood.asks_waiting IS 'What a second role must ask for too before it is done, where decisions take two. Void after a day.';

COMMENT ON COLUMN makegood.asks_waiting.action IS 'replay, discard, accept, dismiss or dismiss_gap: the function of that name.';

COMMENT ON COLUMN makegood.asks_waiting.subject IS 'Its first argument.';

COMMENT ON COLUMN makegood.asks_waiting.asked_by IS 'The role that asked, as it logged in.';

COMMENT ON COLUMN makegood.asks_waiting.asked_at IS 'When.';

CREATE TABLE makegood.audit_entries (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    role text NOT NULL,
    application text,
    address inet,
    action text NOT NULL COLLATE pg_catalog."C",
    subject text COLLATE pg_catalog."C",
    reason text
);

COMMENT ON TABLE makegood.audit_entries IS 'What people decided: one row a decision, written by triggers with the decision itself. Never changed or deleted.';

CREATE VIEW makegood.audit AS
 SELECT audit_entries.at,
    audit_entries.role,
    audit_entries.application,
    audit_entries.address,
    audit_entries.action,
    audit_entries.subject,
    audit_entries.reason
   FROM makegood.audit_entries;

COMMENT ON VIEW makegood.audit IS 'What people decided, when and as whom. Only ever added to.';

COMMENT ON COLUMN makegood.audit.at IS 'When.';

COMMENT ON COLUMN makegood.audit.role IS 'The role that logged in.';

COMMENT ON COLUMN makegood.audit.application IS 'What its application calls itself: a claim.';

COMMENT ON COLUMN makegood.audit.address IS 'Where it connected from, a pooler perhaps; null for a socket.';

COMMENT ON COLUMN makegood.audit.action IS 'reconcile, approve, dismiss, dismiss_gap, replay, discard, accept, offsets_reset, outbox_discard, outbox_topic, publisher, four_eyes, or ask and agree where a decision takes two roles.';

COMMENT ON COLUMN makegood.audit.subject IS 'The run, finding, gap or record, by its number; the group; the event; the role that may publish.';

COMMENT ON COLUMN makegood.audit.reason IS 'Why, or what exactly, if that was said.';

CREATE TABLE makegood.positions (
    consumer_group text NOT NULL COLLATE pg_catalog."C",
    topic_id uuid NOT NULL,
    partition integer NOT NULL,
    step bigint NOT NULL,
    topic text NOT NULL,
    next_offset bigint NOT NULL,
    epoch bigint NOT NULL,
    kind text NOT NULL,
    why text,
    writer uuid NOT NULL,
    written_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    progress_at timestamp with time zone,
    anchor_offset bigint,
    anchor_timestamp_ms bigint,
    anchor_digest bytea,
    counts bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    CONSTRAINT positions_kind_check CHECK ((kind = ANY (ARRAY['claim'::text, 'batch'::text]))),
    CONSTRAINT positions_next_offset_check CHECK ((next_offset >= 0))
);

COMMENT ON TABLE makegood.positions IS 'Where each partition is: one row a step, the newest counts. Counters run from the first step on.';

CREATE TABLE makegood.routes (
    id smallint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    topic text NOT NULL,
    consumer_group text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    begun_at timestamp with time zone,
    believes text
);

COMMENT ON TABLE makegood.routes IS 'One row a route; gives the tables below a short key.';

CREATE TABLE makegood.watermarks (
    consumer_group text NOT NULL COLLATE pg_catalog."C",
    topic_id uuid NOT NULL,
    partition integer NOT NULL,
    low bigint NOT NULL,
    high bigint NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    all_read_from bigint
);

COMMENT ON TABLE makegood.watermarks IS 'Where each partition''s log began and ended when a daemon last looked.';

CREATE VIEW makegood.consumer_positions AS
 SELECT r.name AS route,
    p.consumer_group,
    p.topic,
    p.topic_id,
    p.partition,
    p.next_offset,
    w.low AS log_start,
    w.high AS log_end,
        CASE
            WHEN (GREATEST(p.next_offset, w.low) >= w.all_read_from) THEN (0)::bigint
            ELSE GREATEST((w.high - GREATEST(p.next_offset, w.low)), (0)::bigint)
        END AS lag,
        CASE
            WHEN (w.seen_at <= (now() + '00:00:30'::interval)) THEN w.seen_at
            ELSE NULL::timestamp with time zone
        END AS log_seen_at,
        CASE
            WHEN (p.progress_at <= (now() + '00:00:30'::interval)) THEN p.progress_at
            ELSE NULL::timestamp with time zone
        END AS progress_at,
    p.epoch,
    p.step,
    COALESCE(p.counts[1], (0)::bigint) AS applied,
    COALESCE(p.counts[2], (0)::bigint) AS already,
    COALESCE(p.counts[3], (0)::bigint) AS conflict,
    COALESCE(p.counts[4], (0)::bigint) AS ignored,
    COALESCE(p.counts[5], (0)::bigint) AS duplicate,
    COALESCE(p.counts[6], (0)::bigint) AS quarantined,
    COALESCE(p.counts[7], (0)::bigint) AS other_type,
    COALESCE(p.counts[8], (0)::bigint) AS tombstone,
    COALESCE(p.counts[9], (0)::bigint) AS id_reused,
    COALESCE(p.counts[10], (0)::bigint) AS tested,
        CASE
            WHEN (p.written_at <= (now() + '00:00:30'::interval)) THEN p.written_at
            ELSE NULL::timestamp with time zone
        END AS written_at,
    (p.topic_id = first_value(p.topic_id) OVER (PARTITION BY p.consumer_group, p.topic ORDER BY (p.written_at > (now() + '00:00:30'::interval)), p.written_at DESC)) AS is_current
   FROM ((( SELECT DISTINCT ON (positions.consumer_group, positions.topic_id, positions.partition) positions.consumer_group,
            positions.topic_id,
            positions.partition,
            positions.step,
            positions.topic,
            positions.next_offset,
            positions.epoch,
            positions.kind,
            positions.why,
            positions.writer,
            positions.written_at,
            positions.progress_at,
            positions.anchor_offset,
            positions.anchor_timestamp_ms,
            positions.anchor_digest,
            positions.counts
           FROM makegood.positions
          ORDER BY positions.consumer_group, positions.topic_id, positions.partition, positions.step DESC) p
     LEFT JOIN makegood.routes r ON (((r.consumer_group = p.consumer_group) AND (r.topic = p.topic))))
     LEFT JOIN makegood.watermarks w ON (((w.consumer_group = p.consumer_group) AND (w.topic_id = p.topic_id) AND (w.partition = p.partition))));

COMMENT ON VIEW makegood.consumer_positions IS 'Where each partition is. Reads only the position''s few newest steps, never the inbox.';

COMMENT ON COLUMN makegood.consumer_positions.route IS 'The route that reads this group and topic.';

COMMENT ON COLUMN makegood.consumer_positions.consumer_group IS 'The Kafka consumer group.';

COMMENT ON COLUMN makegood.consumer_positions.topic IS 'The topic''s name.';

COMMENT ON COLUMN makegood.consumer_positions.topic_id IS 'The topic''s id; another one means the topic was made anew.';

COMMENT ON COLUMN makegood.consumer_positions.partition IS 'The partition''s number.';

COMMENT ON COLUMN makegood.consumer_positions.next_offset IS 'The next offset to read; everything before it is done.';

COMMENT ON COLUMN makegood.consumer_positions.log_start IS 'The first offset still in the log when last looked.';

COMMENT ON COLUMN makegood.consumer_positions.log_end IS 'The offset the next record will get, when last looked.';

COMMENT ON COLUMN makegood.consumer_positions.lag IS 'Records waiting, when last looked; none where only what no consumer is given follows, as a transaction''s mark.';

COMMENT ON COLUMN makegood.consumer_positions.log_seen_at IS 'When a daemon last looked at the log.';

COMMENT ON COLUMN makegood.consumer_positions.progress_at IS 'When this partition last moved on.';

COMMENT ON COLUMN makegood.consumer_positions.epoch IS 'Counts the claims of this partition; an owner of an older epoch cannot write.';

COMMENT ON COLUMN makegood.consumer_positions.step IS 'Counts the steps of this partition.';

COMMENT ON COLUMN makegood.consumer_positions.applied IS 'Events that made a purchase, since the first step.';

COMMENT ON COLUMN makegood.consumer_positions.already IS 'Events whose purchase existed, since the first step.';

COMMENT ON COLUMN makegood.consumer_positions.conflict IS 'Events whose purchase exists and differs, since the first step.';

COMMENT ON COLUMN makegood.consumer_positions.ignored IS 'Events the mapping had nothing to do for, since the first step.';

COMMENT ON COLUMN makegood.consumer_positions.duplicate IS 'Records of an event already in the inbox, since the first step.';

COMMENT ON COLUMN makegood.consumer_positions.quarantined IS 'Records put into quarantine, since the first step.';

COMMENT ON COLUMN makegood.consumer_positions.other_type IS 'Records of another event type, since the first step.';

COMMENT ON COLUMN makegood.consumer_positions.tombstone IS 'Records without a value in a topic that is compacted, since the first step.';

COMMENT ON COLUMN makegood.consumer_positions.id_reused IS 'Events whose id had been used with other bytes, since the first step.';

COMMENT ON COLUMN makegood.consumer_positions.tested IS 'Records of send-test, since the first step.';

COMMENT ON COLUMN makegood.consumer_positions.written_at IS 'When the newest step was written, a claim or a batch.';

COMMENT ON COLUMN makegood.consumer_positions.is_current IS 'False for a topic id that another one has replaced under the same name; status leaves these out.';

CREATE TABLE makegood.decisions (
    id bigint NOT NULL,
    kind text NOT NULL,
    route_id smallint NOT NULL,
    quarantine_id bigint,
    decided_by text NOT NULL,
    decided_via text NOT NULL,
    decided_at timestamp with time zone DEFAULT now() NOT NULL,
    reason text,
    held text,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    outcome text,
    detail text,
    CONSTRAINT decisions_check CHECK (((kind = 'accept'::text) = (quarantine_id IS NULL))),
    CONSTRAINT decisions_decided_via_check CHECK ((decided_via = ANY (ARRAY['sql'::text, 'cli'::text]))),
    CONSTRAINT decisions_kind_check CHECK ((kind = ANY (ARRAY['replay'::text, 'discard'::text, 'accept'::text])))
);

COMMENT ON TABLE makegood.decisions IS 'One row a decision on quarantined records: who, when, why, and what came of it. Never deleted by makegood.';

ALTER TABLE makegood.decisions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME makegood.decisions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE makegood.findings (
    id bigint NOT NULL,
    job text NOT NULL COLLATE pg_catalog."C",
    business_key text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    paid_at timestamp with time zone,
    expected jsonb,
    found jsonb,
    detail text,
    run_id bigint,
    quarantine_id bigint,
    first_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    resolved_at timestamp with time zone,
    resolution text,
    resolved_run_id bigint,
    resolved_by text,
    note text,
    CONSTRAINT findings_resolution_check CHECK ((resolution = ANY (ARRAY['made_good'::text, 'healed'::text, 'dismissed'::text, 'ignored'::text])))
);

COMMENT ON TABLE makegood.findings IS 'What the reconciler found: payments without a purchase, and contradictions for people. Holds personal data.';

ALTER TABLE makegood.findings ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME makegood.findings_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE makegood.four_eyes (
    is_one boolean DEFAULT true NOT NULL,
    required boolean NOT NULL,
    CONSTRAINT four_eyes_is_one_check CHECK (is_one)
);

COMMENT ON TABLE makegood.four_eyes IS 'Whether a decision takes two roles; no row: one is enough. See makegood.require_four_eyes.';

CREATE TABLE makegood.gaps (
    id bigint NOT NULL,
    route_id smallint NOT NULL,
    topic text NOT NULL,
    topic_id uuid NOT NULL,
    partition integer NOT NULL,
    from_offset bigint NOT NULL,
    to_offset bigint NOT NULL,
    reason text NOT NULL,
    found_at timestamp with time zone DEFAULT now() NOT NULL,
    covered_at timestamp with time zone,
    covered_how text,
    covered_run bigint,
    covered_by text,
    note text,
    CONSTRAINT gaps_covered_how_check CHECK ((covered_how = ANY (ARRAY['sweep'::text, 'dismissed'::text])))
);

COMMENT ON TABLE makegood.gaps IS 'Offsets that were never read: expired, before the first start, or skipped on purpose. Open until a sweep of the reconciler has looked at everything that was paid before the gap was found.';

CREATE TABLE makegood.runs (
    id bigint NOT NULL,
    job text COLLATE pg_catalog."C",
    since timestamp with time zone,
    until timestamp with time zone,
    dry_run boolean DEFAULT false NOT NULL,
    requested_by text NOT NULL,
    requested_via text NOT NULL,
    requested_at timestamp with time zone DEFAULT now() NOT NULL,
    state text DEFAULT 'requested'::text NOT NULL,
    phase text DEFAULT 'compare'::text NOT NULL,
    place_at timestamp with time zone,
    place_key text,
    compared bigint DEFAULT 0 NOT NULL,
    missing bigint DEFAULT 0 NOT NULL,
    made_good bigint DEFAULT 0 NOT NULL,
    gone bigint DEFAULT 0 NOT NULL,
    quarantined bigint DEFAULT 0 NOT NULL,
    conflicts bigint DEFAULT 0 NOT NULL,
    sample jsonb,
    statuses jsonb DEFAULT '{}'::jsonb NOT NULL,
    held text,
    approved_by text,
    approved_at timestamp with time zone,
    runner uuid,
    started_at timestamp with time zone,
    moved_at timestamp with time zone,
    finished_at timestamp with time zone,
    error text,
    reason text,
    CONSTRAINT runs_phase_check CHECK ((phase = ANY (ARRAY['compare'::text, 'make_good'::text, 'conflicts'::text]))),
    CONSTRAINT runs_requested_via_check CHECK ((requested_via = ANY (ARRAY['sql'::text, 'cli'::text, 'signal'::text, 'schedule'::text]))),
    CONSTRAINT runs_state_check CHECK ((state = ANY (ARRAY['requested'::text, 'running'::text, 'held'::text, 'done'::text, 'failed'::text])))
);

COMMENT ON TABLE makegood.runs IS 'One row a run of the reconciler, from the request to its end. phase and place say where a new runner goes on.';

CREATE VIEW makegood.gaps_covered AS
 SELECT g.id AS gap,
    r.name AS route,
    g.topic,
    g.topic_id,
    g.partition,
    g.from_offset,
    g.to_offset,
    (g.to_offset - g.from_offset) AS records,
    g.reason,
    g.found_at,
    g.covered_at,
    g.covered_how AS how,
    g.covered_run AS run,
    u.until AS compared_until,
    g.covered_by AS who,
    g.note
   FROM ((makegood.gaps g
     JOIN makegood.routes r ON ((r.id = g.route_id)))
     LEFT JOIN makegood.runs u ON ((u.id = g.covered_run)))
  WHERE (g.covered_at IS NOT NULL);

COMMENT ON VIEW makegood.gaps_covered IS 'Offsets that were never read and whose payments were looked at otherwise, each with the run that did, or closed by a person.';

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

ALTER TABLE makegood.gaps ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME makegood.gaps_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW makegood.gaps_open AS
 SELECT g.id AS gap,
    r.name AS route,
    g.topic,
    g.topic_id,
    g.partition,
    g.from_offset,
    g.to_offset,
    (g.to_offset - g.from_offset) AS records,
    g.reason,
    g.found_at
   FROM (makegood.gaps g
     JOIN makegood.routes r ON ((r.id = g.route_id)))
  WHERE (g.covered_at IS NULL);

COMMENT ON VIEW makegood.gaps_open IS 'Offsets that were never read and that no sweep of the reconciler has covered yet. A sweep is asked for by itself.';

COMMENT ON COLUMN makegood.gaps_open.gap IS 'Its number, as makegood.dismiss_gap takes it.';

COMMENT ON COLUMN makegood.gaps_open.route IS 'The route that did not read them.';

COMMENT ON COLUMN makegood.gaps_open.topic IS 'The topic.';

COMMENT ON COLUMN makegood.gaps_open.topic_id IS 'The topic''s id when it was found.';

COMMENT ON COLUMN makegood.gaps_open.partition IS 'The partition.';

COMMENT ON COLUMN makegood.gaps_open.from_offset IS 'The first offset that was not read.';

COMMENT ON COLUMN makegood.gaps_open.to_offset IS 'One past the last.';

COMMENT ON COLUMN makegood.gaps_open.records IS 'How many offsets that are; in a compacted or transactional topic fewer are records.';

COMMENT ON COLUMN makegood.gaps_open.reason IS 'expired: deleted before they were read; taken_over: before the offset of the group''s worker before makegood; first_start: before the configured start; deleted: the topic was deleted before they were read; recreated, truncated: the log that came after begins later; unreadable: a batch that unpacks to too much, or to nothing; quarantine_full: put away beyond max_quarantine; reset by ...: a person skipped them.';

COMMENT ON COLUMN makegood.gaps_open.found_at IS 'When it was found; every payment they can be about became paid before.';

CREATE TABLE makegood.ignored_types (
    route_id smallint NOT NULL,
    event_type text NOT NULL COLLATE pg_catalog."C",
    records bigint NOT NULL,
    first_at timestamp with time zone DEFAULT now() NOT NULL,
    last_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE makegood.ignored_types IS 'About how many records of which other types a route has ignored.';

CREATE TABLE makegood.inbox (
    event_id uuid NOT NULL,
    "offset" bigint,
    event_at timestamp with time zone,
    applied_at timestamp with time zone DEFAULT now() NOT NULL,
    partition integer,
    route_id smallint NOT NULL,
    digest bytea NOT NULL,
    outcome text NOT NULL COLLATE pg_catalog."C",
    business_key text COLLATE pg_catalog."C",
    reused_id uuid,
    detail text,
    origin text,
    slot smallint DEFAULT 0 NOT NULL,
    CONSTRAINT inbox_origin_check CHECK ((origin = 'reconcile'::text)),
    CONSTRAINT inbox_outcome_check CHECK ((outcome = ANY (ARRAY['applied'::text, 'already'::text, 'conflict'::text, 'ignored'::text])))
)
PARTITION BY LIST (slot);

COMMENT ON TABLE makegood.inbox IS 'One row an event and route. Written in the transaction that made the purchase, never changed, kept for retention.inbox at least.';

COMMENT ON COLUMN makegood.inbox.slot IS 'Which of the three tables it lies in; they are filled in turn.';

CREATE TABLE makegood.inbox_0 (
    event_id uuid NOT NULL,
    "offset" bigint,
    event_at timestamp with time zone,
    applied_at timestamp with time zone DEFAULT now() NOT NULL,
    partition integer,
    route_id smallint NOT NULL,
    digest bytea NOT NULL,
    outcome text NOT NULL COLLATE pg_catalog."C",
    business_key text COLLATE pg_catalog."C",
    reused_id uuid,
    detail text,
    origin text,
    slot smallint DEFAULT 0 NOT NULL,
    CONSTRAINT inbox_origin_check CHECK ((origin = 'reconcile'::text)),
    CONSTRAINT inbox_outcome_check CHECK ((outcome = ANY (ARRAY['applied'::text, 'already'::text, 'conflict'::text, 'ignored'::text])))
);

COMMENT ON TABLE makegood.inbox_0 IS 'The rows of the inbox from every third turn; emptied as a whole.';

CREATE TABLE makegood.inbox_1 (
    event_id uuid NOT NULL,
    "offset" bigint,
    event_at timestamp with time zone,
    applied_at timestamp with time zone DEFAULT now() NOT NULL,
    partition integer,
    route_id smallint NOT NULL,
    digest bytea NOT NULL,
    outcome text NOT NULL COLLATE pg_catalog."C",
    business_key text COLLATE pg_catalog."C",
    reused_id uuid,
    detail text,
    origin text,
    slot smallint DEFAULT 0 NOT NULL,
    CONSTRAINT inbox_origin_check CHECK ((origin = 'reconcile'::text)),
    CONSTRAINT inbox_outcome_check CHECK ((outcome = ANY (ARRAY['applied'::text, 'already'::text, 'conflict'::text, 'ignored'::text])))
);

COMMENT ON TABLE makegood.inbox_1 IS 'The rows of the inbox from every third turn; emptied as a whole.';

CREATE TABLE makegood.inbox_2 (
    event_id uuid NOT NULL,
    "offset" bigint,
    event_at timestamp with time zone,
    applied_at timestamp with time zone DEFAULT now() NOT NULL,
    partition integer,
    route_id smallint NOT NULL,
    digest bytea NOT NULL,
    outcome text NOT NULL COLLATE pg_catalog."C",
    business_key text COLLATE pg_catalog."C",
    reused_id uuid,
    detail text,
    origin text,
    slot smallint DEFAULT 0 NOT NULL,
    CONSTRAINT inbox_origin_check CHECK ((origin = 'reconcile'::text)),
    CONSTRAINT inbox_outcome_check CHECK ((outcome = ANY (ARRAY['applied'::text, 'already'::text, 'conflict'::text, 'ignored'::text])))
);

COMMENT ON TABLE makegood.inbox_2 IS 'The rows of the inbox from every third turn; emptied as a whole.';

CREATE TABLE makegood.inbox_ended (
    turn bigint NOT NULL,
    route_id smallint NOT NULL,
    what text NOT NULL COLLATE pg_catalog."C",
    first_key uuid NOT NULL,
    keys uuid[] NOT NULL,
    CONSTRAINT inbox_ended_what_check CHECK ((what = ANY (ARRAY['event'::text, 'had'::text, 'ignored'::text])))
);

COMMENT ON TABLE makegood.inbox_ended IS 'What stays of inbox rows that were removed: which events were taken in, which payments had their purchase, and which ones the mapping ignored.';

COMMENT ON COLUMN makegood.inbox_ended.what IS 'event: events, each by its id and digest; had: payments that had their purchase; ignored: payments whose own event the mapping ignored.';

COMMENT ON COLUMN makegood.inbox_ended.keys IS 'Each as makegood.ended_key makes it, in their order; the first one is first_key.';

CREATE VIEW makegood.inbox_events AS
 SELECT r.name AS route,
    i.event_id,
    i.outcome,
    i.business_key,
    i.detail,
    i.partition,
    i."offset",
    i.event_at,
    i.applied_at,
    i.reused_id,
    COALESCE(i.origin, 'kafka'::text) AS origin
   FROM (makegood.inbox i
     JOIN makegood.routes r ON ((r.id = i.route_id)));

COMMENT ON VIEW makegood.inbox_events IS 'Events taken in. Look up by event_id, business_key or a range of applied_at: each has an index.';

COMMENT ON COLUMN makegood.inbox_events.route IS 'The route that took the event in.';

COMMENT ON COLUMN makegood.inbox_events.event_id IS 'The event''s id; derived where the producer gave none.';

COMMENT ON COLUMN makegood.inbox_events.outcome IS 'applied: made the purchase; already: it existed; conflict: it exists and differs; ignored: nothing to do.';

COMMENT ON COLUMN makegood.inbox_events.business_key IS 'What the mapping names as the key, the payment id by default.';

COMMENT ON COLUMN makegood.inbox_events.detail IS 'What the mapping says about the outcome, if anything.';

COMMENT ON COLUMN makegood.inbox_events.partition IS 'The Kafka partition it came from.';

COMMENT ON COLUMN makegood.inbox_events."offset" IS 'Its offset in that partition.';

COMMENT ON COLUMN makegood.inbox_events.event_at IS 'The Kafka record''s timestamp.';

COMMENT ON COLUMN makegood.inbox_events.applied_at IS 'When the transaction that took it in began, by the database''s clock.';

COMMENT ON COLUMN makegood.inbox_events.reused_id IS 'The id the producer sent, if it had been used before with other bytes; event_id is then derived.';

COMMENT ON COLUMN makegood.inbox_events.origin IS 'kafka, or reconcile for an event that makegood made from a payment; that one has no partition and offset.';

CREATE TABLE makegood.inbox_migrations (
    version integer NOT NULL,
    name character varying(255),
    applied_on character varying(255),
    checksum character varying(255)
);

CREATE TABLE makegood.inbox_reach (
    turn bigint NOT NULL,
    route_id smallint NOT NULL,
    partition integer NOT NULL,
    last_offset bigint NOT NULL
);

COMMENT ON TABLE makegood.inbox_reach IS 'The last offset among the rows of a turn.';

CREATE TABLE makegood.inbox_turns (
    turn bigint NOT NULL,
    began_at timestamp with time zone DEFAULT now() NOT NULL,
    noted_at timestamp with time zone,
    newest_at timestamp with time zone,
    held text
);

COMMENT ON TABLE makegood.inbox_turns IS 'Which of the inbox''s tables is filled: that of the newest turn, modulo three.';

CREATE TABLE makegood.jobs (
    name text NOT NULL COLLATE pg_catalog."C",
    route_id smallint NOT NULL,
    cursor_at timestamp with time zone,
    swept_at timestamp with time zone,
    scheduled_at timestamp with time zone,
    look_at timestamp with time zone,
    looked_at timestamp with time zone,
    notice text,
    statuses jsonb DEFAULT '{}'::jsonb NOT NULL,
    statuses_say text,
    lease_owner uuid,
    lease_epoch bigint DEFAULT 0 NOT NULL,
    lease_until timestamp with time zone
);

COMMENT ON TABLE makegood.jobs IS 'One row a job: every payment that became paid before cursor_at has been compared, and before look_at been looked at. Its runner holds the lease. statuses_say is what is wrong with the words in the payments'' status.';

CREATE SEQUENCE makegood.outbox_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE makegood.outbox (
    seq bigint DEFAULT nextval('makegood.outbox_seq'::regclass) NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    bytes integer NOT NULL,
    slot smallint NOT NULL,
    id uuid NOT NULL,
    aggregatetype text NOT NULL COLLATE pg_catalog."C",
    aggregateid text COLLATE pg_catalog."C",
    type text NOT NULL,
    payload text NOT NULL,
    headers jsonb NOT NULL
)
PARTITION BY LIST (slot);

COMMENT ON TABLE makegood.outbox IS 'Events for Kafka, written by makegood.publish in the transaction they speak of. Kept for a while after they were sent.';

COMMENT ON COLUMN makegood.outbox.seq IS 'The order of the rows of one key.';

COMMENT ON COLUMN makegood.outbox.xid IS 'The transaction that wrote it; what the relay''s snapshots are compared with.';

COMMENT ON COLUMN makegood.outbox.created_at IS 'When it was written, by this database''s clock.';

COMMENT ON COLUMN makegood.outbox.bytes IS 'The size of payload, key and headers in bytes.';

COMMENT ON COLUMN makegood.outbox.slot IS 'Which of the three tables it lies in; they are filled in turn.';

COMMENT ON COLUMN makegood.outbox.id IS 'The event''s id, the same on every sending.';

COMMENT ON COLUMN makegood.outbox.aggregatetype IS 'The Kafka topic.';

COMMENT ON COLUMN makegood.outbox.aggregateid IS 'The Kafka key; rows of one key arrive in order. Null for none.';

COMMENT ON COLUMN makegood.outbox.type IS 'The event''s type.';

COMMENT ON COLUMN makegood.outbox.payload IS 'The JSON text, byte for byte what Kafka gets.';

COMMENT ON COLUMN makegood.outbox.headers IS 'Further Kafka headers, name to text.';

CREATE TABLE makegood.outbox_0 (
    seq bigint DEFAULT nextval('makegood.outbox_seq'::regclass) NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    bytes integer NOT NULL,
    slot smallint NOT NULL,
    id uuid NOT NULL,
    aggregatetype text NOT NULL COLLATE pg_catalog."C",
    aggregateid text COLLATE pg_catalog."C",
    type text NOT NULL,
    payload text NOT NULL,
    headers jsonb NOT NULL
);

COMMENT ON TABLE makegood.outbox_0 IS 'The rows of the outbox from every third turn; emptied as a whole.';

CREATE TABLE makegood.outbox_1 (
    seq bigint DEFAULT nextval('makegood.outbox_seq'::regclass) NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    bytes integer NOT NULL,
    slot smallint NOT NULL,
    id uuid NOT NULL,
    aggregatetype text NOT NULL COLLATE pg_catalog."C",
    aggregateid text COLLATE pg_catalog."C",
    type text NOT NULL,
    payload text NOT NULL,
    headers jsonb NOT NULL
);

COMMENT ON TABLE makegood.outbox_1 IS 'The rows of the outbox from every third turn; emptied as a whole.';

CREATE TABLE makegood.outbox_2 (
    seq bigint DEFAULT nextval('makegood.outbox_seq'::regclass) NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    bytes integer NOT NULL,
    slot smallint NOT NULL,
    id uuid NOT NULL,
    aggregatetype text NOT NULL COLLATE pg_catalog."C",
    aggregateid text COLLATE pg_catalog."C",
    type text NOT NULL,
    payload text NOT NULL,
    headers jsonb NOT NULL
);

COMMENT ON TABLE makegood.outbox_2 IS 'The rows of the outbox from every third turn; emptied as a whole.';

CREATE TABLE makegood.outbox_steps (
    shard smallint NOT NULL,
    step bigint NOT NULL,
    shards smallint NOT NULL,
    epoch bigint NOT NULL,
    from_snapshot pg_snapshot NOT NULL,
    to_snapshot pg_snapshot NOT NULL,
    last_seq bigint NOT NULL,
    published bigint NOT NULL,
    top_seq bigint DEFAULT 0 NOT NULL,
    holder uuid,
    host text,
    pid integer,
    lease_until timestamp with time zone NOT NULL,
    sleeps_until timestamp with time zone,
    in_flight integer DEFAULT 0 NOT NULL,
    reason text,
    advice text,
    remark text,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    written_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE makegood.outbox_steps IS 'The relay''s cursor and lease, one row a step; the newest counts, and its number is the compare-and-set. Old ones are trimmed.';

COMMENT ON COLUMN makegood.outbox_steps.from_snapshot IS 'All rows that it sees are with Kafka or parked.';

COMMENT ON COLUMN makegood.outbox_steps.to_snapshot IS 'Of the rows that it sees beyond those, the ones up to last_seq are too.';

COMMENT ON COLUMN makegood.outbox_steps.top_seq IS 'The highest number of a row that was read so far; new ones are higher, whatever becomes of the sequence.';

CREATE VIEW makegood.outbox_cursor AS
 SELECT n.shard,
    n.step,
    n.shards,
    n.epoch,
    n.from_snapshot,
    n.to_snapshot,
    n.last_seq,
    n.published,
    n.top_seq,
    n.holder,
    n.host,
    n.pid,
    n.lease_until,
    n.sleeps_until,
    n.in_flight,
    n.reason,
    n.advice,
    n.remark,
    n.xid,
    n.written_at,
    ((n.lease_until > clock_timestamp()) AND (n.lease_until <= (clock_timestamp() + '00:00:06'::interval))) AS leased,
    ((n.row_xid <> (((n.xid)::text)::bigint % '4294967296'::bigint)) OR (n.xid >= pg_snapshot_xmax(pg_current_snapshot())) OR (pg_snapshot_xmax(n.from_snapshot) > pg_snapshot_xmax(pg_current_snapshot())) OR (pg_snapshot_xmax(n.to_snapshot) > pg_snapshot_xmax(pg_current_snapshot()))) AS is_foreign
   FROM (generate_series(0, 7) s(shard)
     CROSS JOIN LATERAL ( SELECT p.shard,
            p.step,
            p.shards,
            p.epoch,
            p.from_snapshot,
            p.to_snapshot,
            p.last_seq,
            p.published,
            p.top_seq,
            p.holder,
            p.host,
            p.pid,
            p.lease_until,
            p.sleeps_until,
            p.in_flight,
            p.reason,
            p.advice,
            p.remark,
            p.xid,
            p.written_at,
            ((p.xmin)::text)::bigint AS row_xid
           FROM makegood.outbox_steps p
          WHERE (p.shard = s.shard)
          ORDER BY p.step DESC
         LIMIT 1) n)
  WHERE (n.shard < n.shards);

COMMENT ON VIEW makegood.outbox_cursor IS 'The newest step of each shard: how far the relay is, and who it is.';

COMMENT ON COLUMN makegood.outbox_cursor.shard IS 'The shard.';

COMMENT ON COLUMN makegood.outbox_cursor.step IS 'Counts the steps of the shard; the next one must be one more.';

COMMENT ON COLUMN makegood.outbox_cursor.shards IS 'How many shards there are.';

COMMENT ON COLUMN makegood.outbox_cursor.epoch IS 'Counts the claims of the shard; 0 before the first.';

COMMENT ON COLUMN makegood.outbox_cursor.from_snapshot IS 'All rows that it sees are with Kafka or parked.';

COMMENT ON COLUMN makegood.outbox_cursor.to_snapshot IS 'Of the rows that it sees beyond those, the ones up to last_seq are too.';

COMMENT ON COLUMN makegood.outbox_cursor.last_seq IS 'See to_snapshot.';

COMMENT ON COLUMN makegood.outbox_cursor.published IS 'Events of the shard acknowledged by Kafka so far.';

COMMENT ON COLUMN makegood.outbox_cursor.top_seq IS 'The highest number of a row that was read so far.';

COMMENT ON COLUMN makegood.outbox_cursor.holder IS 'The daemon that has the shard, a number of its own; null for nobody.';

COMMENT ON COLUMN makegood.outbox_cursor.host IS 'The machine it runs on.';

COMMENT ON COLUMN makegood.outbox_cursor.pid IS 'Its process there.';

COMMENT ON COLUMN makegood.outbox_cursor.lease_until IS 'Until then the shard is its own, if it says nothing more.';

COMMENT ON COLUMN makegood.outbox_cursor.sleeps_until IS 'Until then a publisher wakes it; null if it is awake.';

COMMENT ON COLUMN makegood.outbox_cursor.in_flight IS 'Events handed to Kafka and not acknowledged.';

COMMENT ON COLUMN makegood.outbox_cursor.reason IS 'Why nothing is sent; null if all is well.';

COMMENT ON COLUMN makegood.outbox_cursor.advice IS 'What to do about it.';

COMMENT ON COLUMN makegood.outbox_cursor.remark IS 'What else a person should know; null if there is nothing.';

COMMENT ON COLUMN makegood.outbox_cursor.xid IS 'The transaction that wrote it.';

COMMENT ON COLUMN makegood.outbox_cursor.written_at IS 'When it was written.';

COMMENT ON COLUMN makegood.outbox_cursor.leased IS 'Whether the lease is in force.';

COMMENT ON COLUMN makegood.outbox_cursor.is_foreign IS 'Whether this server cannot have written the step: it came with a dump or a copy. The next claim begins anew.';

CREATE TABLE makegood.outbox_discarded (
    id uuid NOT NULL,
    seq bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    aggregatetype text NOT NULL COLLATE pg_catalog."C",
    aggregateid text COLLATE pg_catalog."C",
    type text NOT NULL,
    payload text NOT NULL,
    headers jsonb NOT NULL,
    reason text,
    discarded_at timestamp with time zone DEFAULT now() NOT NULL,
    discarded_by text DEFAULT SESSION_USER NOT NULL,
    why text NOT NULL
);

COMMENT ON TABLE makegood.outbox_discarded IS 'Events that a person gave up: Kafka never got them. Kept for the record.';

CREATE TABLE makegood.outbox_parked (
    seq bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    bytes integer NOT NULL,
    by_topic boolean DEFAULT false NOT NULL,
    id uuid NOT NULL,
    aggregatetype text NOT NULL COLLATE pg_catalog."C",
    aggregateid text COLLATE pg_catalog."C",
    type text NOT NULL,
    payload text NOT NULL,
    headers jsonb NOT NULL,
    reason text,
    advice text,
    parked_at timestamp with time zone DEFAULT now() NOT NULL,
    retry_at timestamp with time zone
);

COMMENT ON TABLE makegood.outbox_parked IS 'Rows parked: with a reason if Kafka refused them or their topic, without one if they wait behind such a row of their key.';

COMMENT ON COLUMN makegood.outbox_parked.by_topic IS 'It is the topic that takes nothing: the relay tries it again by itself, and sends the row as soon as it can.';

CREATE VIEW makegood.outbox_held_topics AS
 SELECT p.aggregatetype AS topic,
    count(*) AS events,
    (array_agg(p.reason ORDER BY p.seq))[1] AS reason,
    (array_agg(p.advice ORDER BY p.seq))[1] AS advice,
    min(p.created_at) AS oldest_at,
    min(p.parked_at) AS held_since
   FROM makegood.outbox_parked p
  WHERE p.by_topic
  GROUP BY p.aggregatetype;

COMMENT ON VIEW makegood.outbox_held_topics IS 'Topics that take nothing, while others do. The relay tries each again by itself; its events wait in outbox_pending.';

COMMENT ON COLUMN makegood.outbox_held_topics.topic IS 'The Kafka topic.';

COMMENT ON COLUMN makegood.outbox_held_topics.events IS 'How many events wait for it.';

COMMENT ON COLUMN makegood.outbox_held_topics.reason IS 'Why, as Kafka or its client last said.';

COMMENT ON COLUMN makegood.outbox_held_topics.advice IS 'What to do about it.';

COMMENT ON COLUMN makegood.outbox_held_topics.oldest_at IS 'When the oldest of them was published.';

COMMENT ON COLUMN makegood.outbox_held_topics.held_since IS 'When the first of them was held.';

CREATE TABLE makegood.outbox_migrations (
    version integer NOT NULL,
    name character varying(255),
    applied_on character varying(255),
    checksum character varying(255)
);

CREATE VIEW makegood.outbox_parked_events AS
 SELECT p.id AS event_id,
    p.aggregatetype AS topic,
    p.aggregateid AS key,
    p.type AS event_type,
    p.reason,
    p.advice,
    p.created_at,
    p.parked_at,
    p.retry_at,
    p.seq
   FROM makegood.outbox_parked p
  WHERE (NOT p.by_topic);

COMMENT ON VIEW makegood.outbox_parked_events IS 'Events that Kafka refused for good, and those that wait behind one of their key. makegood outbox retry sends them.';

COMMENT ON COLUMN makegood.outbox_parked_events.event_id IS 'The event''s id.';

COMMENT ON COLUMN makegood.outbox_parked_events.topic IS 'The Kafka topic it goes to.';

COMMENT ON COLUMN makegood.outbox_parked_events.key IS 'Its Kafka key; null for none.';

COMMENT ON COLUMN makegood.outbox_parked_events.event_type IS 'The event''s type.';

COMMENT ON COLUMN makegood.outbox_parked_events.reason IS 'Why Kafka refused it; null if it waits behind an event of its key that was refused.';

COMMENT ON COLUMN makegood.outbox_parked_events.advice IS 'What to do about it.';

COMMENT ON COLUMN makegood.outbox_parked_events.created_at IS 'When it was published.';

COMMENT ON COLUMN makegood.outbox_parked_events.parked_at IS 'When it was parked.';

COMMENT ON COLUMN makegood.outbox_parked_events.retry_at IS 'When somebody asked to send it again; null if nobody did.';

COMMENT ON COLUMN makegood.outbox_parked_events.seq IS 'Its number; the rows of one key are sent in this order.';

CREATE VIEW makegood.outbox_pending AS
 SELECT u.event_id,
    u.topic,
    u.key,
    u.event_type,
    u.bytes,
    u.created_at,
    GREATEST((clock_timestamp() - u.created_at), '00:00:00'::interval) AS age,
    u.seq,
    u.reason,
    u.advice
   FROM makegood.outbox_unsent() u(event_id, topic, key, event_type, bytes, created_at, seq, reason, advice);

COMMENT ON VIEW makegood.outbox_pending IS 'Events that Kafka has not acknowledged yet and that go by themselves. Rows parked are in outbox_parked_events instead.';

COMMENT ON COLUMN makegood.outbox_pending.event_id IS 'The event''s id.';

COMMENT ON COLUMN makegood.outbox_pending.topic IS 'The Kafka topic it goes to.';

COMMENT ON COLUMN makegood.outbox_pending.key IS 'Its Kafka key; null for none.';

COMMENT ON COLUMN makegood.outbox_pending.event_type IS 'The event''s type.';

COMMENT ON COLUMN makegood.outbox_pending.bytes IS 'The size of payload, key and headers in bytes.';

COMMENT ON COLUMN makegood.outbox_pending.created_at IS 'When it was published, by this database''s clock.';

COMMENT ON COLUMN makegood.outbox_pending.age IS 'How long ago that was.';

COMMENT ON COLUMN makegood.outbox_pending.seq IS 'Its number; the rows of one key are sent in this order.';

COMMENT ON COLUMN makegood.outbox_pending.reason IS 'Why its topic takes nothing; null if the event is on its way.';

COMMENT ON COLUMN makegood.outbox_pending.advice IS 'What to do about it.';

CREATE TABLE makegood.outbox_publishers (
    role text NOT NULL COLLATE pg_catalog."C",
    topics text[] NOT NULL,
    quota bigint,
    counter text NOT NULL,
    marks bigint[] DEFAULT '{0,0,0}'::bigint[] NOT NULL,
    CONSTRAINT outbox_publishers_quota_check CHECK ((quota > 0))
);

COMMENT ON TABLE makegood.outbox_publishers IS 'Roles that may publish, by themselves or as a group, to which topics, and how many bytes they may have in the outbox.';

COMMENT ON COLUMN makegood.outbox_publishers.topics IS 'The topics, or * for all.';

COMMENT ON COLUMN makegood.outbox_publishers.counter IS 'The sequence that counts what the role publishes in units of 1 KiB, begun ones too: it waits for nobody, and a rollback takes nothing back.';

COMMENT ON COLUMN makegood.outbox_publishers.marks IS 'Where the counter stood when each of the outbox''s tables began to be filled.';

CREATE TABLE makegood.outbox_verdict (
    one boolean DEFAULT true NOT NULL,
    writer uuid NOT NULL,
    verdict text NOT NULL,
    rank smallint NOT NULL,
    sentence text NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL,
    judged_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT outbox_verdict_one_check CHECK (one)
);

COMMENT ON TABLE makegood.outbox_verdict IS 'One row: what a daemon last said of the outbox, shown by outbox_status while it is fresh.';

CREATE VIEW makegood.outbox_status AS
 WITH waiting AS (
         SELECT count(*) AS pending,
            min(outbox_unsent.created_at) AS oldest_at,
            COALESCE(sum(outbox_unsent.bytes), (0)::bigint) AS pending_bytes
           FROM makegood.outbox_unsent() outbox_unsent(event_id, topic, key, event_type, bytes, created_at, seq, reason, advice)
        ), aside AS (
         SELECT count(*) FILTER (WHERE (outbox_parked.reason IS NOT NULL)) AS refused,
            count(*) AS parked,
            min(outbox_parked.parked_at) AS parked_since
           FROM makegood.outbox_parked
          WHERE (NOT outbox_parked.by_topic)
        ), held AS (
         SELECT ARRAY( SELECT outbox_held_topics.topic
                   FROM makegood.outbox_held_topics
                  ORDER BY outbox_held_topics.topic) AS topics
        ), relay AS (
         SELECT count(*) FILTER (WHERE outbox_cursor.leased) AS relays,
            (max(outbox_cursor.shards))::integer AS shards,
            (sum(outbox_cursor.published))::bigint AS published,
            sum(outbox_cursor.in_flight) FILTER (WHERE outbox_cursor.leased) AS in_flight,
            max(outbox_cursor.written_at) FILTER (WHERE ((outbox_cursor.epoch > 0) AND (outbox_cursor.written_at <= clock_timestamp()))) AS seen_at,
            min(outbox_cursor.reason) FILTER (WHERE outbox_cursor.leased) AS reason,
            min(outbox_cursor.advice) FILTER (WHERE outbox_cursor.leased) AS advice,
            min(outbox_cursor.remark) FILTER (WHERE outbox_cursor.leased) AS remark
           FROM makegood.outbox_cursor
        ), said AS (
         SELECT
                CASE
                    WHEN ((r_1.relays < r_1.shards) AND (COALESCE(v.verdict, 'ok'::text) = ANY (ARRAY['ok'::text, 'behind'::text, 'parked'::text, 'overdue'::text]))) THEN 'down'::text
                    ELSE COALESCE(v.verdict, 'unknown'::text)
                END AS verdict,
            v.verdict AS word,
            v.sentence,
            v.since,
            v.judged_at
           FROM (relay r_1
             LEFT JOIN makegood.outbox_verdict v ON (((v.judged_at >= (now() - '00:00:30'::interval)) AND (v.judged_at <= (now() + '00:00:30'::interval)))))
        )
 SELECT s.verdict,
    r.relays,
    r.shards,
    r.reason,
    r.advice,
    w.pending,
    w.pending_bytes,
    w.oldest_at,
    GREATEST((clock_timestamp() - w.oldest_at), '00:00:00'::interval) AS oldest_age,
    COALESCE(r.in_flight, (0)::bigint) AS in_flight,
    a.parked,
    a.refused,
    a.parked_since,
    r.published,
    r.seen_at,
    h.topics AS held_topics,
    r.remark,
        CASE
            WHEN (s.verdict = s.word) THEN s.sentence
            WHEN (s.verdict = 'down'::text) THEN 'down: no daemon relays the outbox'::text
            ELSE 'unknown: no daemon has judged it within thirty seconds'::text
        END AS sentence,
        CASE
            WHEN (s.verdict = s.word) THEN s.since
            ELSE NULL::timestamp with time zone
        END AS verdict_since,
    s.judged_at
   FROM waiting w,
    aside a,
    relay r,
    held h,
    said s;

COMMENT ON VIEW makegood.outbox_status IS 'One row: do events get from the outbox to Kafka, and if not, why and what to do.';

COMMENT ON COLUMN makegood.outbox_status.verdict IS 'What the daemons say, as the page, the commands, the metrics and the alerts do; ok and behind are fine. down: no daemon relays; unknown: none has judged it lately.';

COMMENT ON COLUMN makegood.outbox_status.relays IS 'Shards that a living daemon relays.';

COMMENT ON COLUMN makegood.outbox_status.shards IS 'Shards there are.';

COMMENT ON COLUMN makegood.outbox_status.reason IS 'Why nothing is sent.';

COMMENT ON COLUMN makegood.outbox_status.advice IS 'What to do about it.';

COMMENT ON COLUMN makegood.outbox_status.pending IS 'Events that Kafka has not acknowledged yet, without those parked.';

COMMENT ON COLUMN makegood.outbox_status.pending_bytes IS 'Their size in bytes.';

COMMENT ON COLUMN makegood.outbox_status.oldest_at IS 'When the oldest of them was published.';

COMMENT ON COLUMN makegood.outbox_status.oldest_age IS 'How long ago that was.';

COMMENT ON COLUMN makegood.outbox_status.in_flight IS 'Events handed to Kafka and not acknowledged when a relay last wrote.';

COMMENT ON COLUMN makegood.outbox_status.parked IS 'Events parked: refused by Kafka, or waiting behind one of their key.';

COMMENT ON COLUMN makegood.outbox_status.refused IS 'Those of them that Kafka refused.';

COMMENT ON COLUMN makegood.outbox_status.parked_since IS 'When the first of them was parked.';

COMMENT ON COLUMN makegood.outbox_status.published IS 'Events acknowledged by Kafka since the first step.';

COMMENT ON COLUMN makegood.outbox_status.seen_at IS 'When a relay last wrote; null if none ever did.';

COMMENT ON COLUMN makegood.outbox_status.held_topics IS 'Topics that take nothing while others do, see outbox_held_topics.';

COMMENT ON COLUMN makegood.outbox_status.remark IS 'Why published rows stay longer than they should; null if they do not.';

COMMENT ON COLUMN makegood.outbox_status.sentence IS 'The verdict in a sentence, with the cause and what to do.';

COMMENT ON COLUMN makegood.outbox_status.verdict_since IS 'Since when the verdict is what it is.';

COMMENT ON COLUMN makegood.outbox_status.judged_at IS 'When a daemon last judged the outbox.';

CREATE TABLE makegood.outbox_turns (
    turn bigint NOT NULL,
    began_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE makegood.outbox_turns IS 'Which of the outbox''s tables is filled: that of the newest turn, modulo three.';

CREATE TABLE makegood.quarantine (
    id bigint NOT NULL,
    route_id smallint NOT NULL,
    topic text NOT NULL,
    topic_id uuid,
    partition integer,
    "offset" bigint,
    business_key text COLLATE pg_catalog."C",
    record_at timestamp with time zone,
    key bytea,
    value bytea,
    whole_bytes integer,
    header_names bytea[] DEFAULT '{}'::bytea[] NOT NULL,
    header_values bytea[] DEFAULT '{}'::bytea[] NOT NULL,
    event_id uuid NOT NULL,
    digest bytea NOT NULL,
    reason text NOT NULL,
    sqlstate text,
    detail text,
    advice text,
    suspect text COLLATE pg_catalog."C",
    fingerprint text COLLATE pg_catalog."C",
    quarantined_at timestamp with time zone DEFAULT now() NOT NULL,
    judged_at timestamp with time zone,
    attempts integer DEFAULT 0 NOT NULL,
    resolved_at timestamp with time zone,
    resolution text,
    CONSTRAINT quarantine_check CHECK (((resolution IS NULL) = (resolved_at IS NULL))),
    CONSTRAINT quarantine_check1 CHECK (((num_nonnulls(topic_id, partition, "offset") = 3) OR (business_key IS NOT NULL))),
    CONSTRAINT quarantine_resolution_check CHECK ((resolution = ANY (ARRAY['replayed'::text, 'made_good'::text, 'discarded'::text]))),
    CONSTRAINT quarantine_suspect_check CHECK ((suspect = ANY (ARRAY['unproven'::text, 'proven'::text, 'unverified'::text])))
);

COMMENT ON TABLE makegood.quarantine IS 'Records that could not be applied, with their exact bytes. Holds personal data: readable by makegood only.';

CREATE VIEW makegood.paid_not_purchased AS
 SELECT f.business_key AS payment,
    f.paid_at,
    (now() -
        CASE
            WHEN (isfinite(f.paid_at) AND (f.paid_at <= now())) THEN f.paid_at
            ELSE LEAST(f.first_seen_at, now())
        END) AS age,
    j.looked_at AS as_of,
    f.kind,
    COALESCE(f.detail, c.detail) AS detail,
    r.name AS route,
    f.job,
    f.id AS finding
   FROM (((makegood.findings f
     JOIN makegood.jobs j ON ((j.name = f.job)))
     JOIN makegood.routes r ON ((r.id = j.route_id)))
     LEFT JOIN LATERAL ( SELECT q.detail
           FROM makegood.quarantine q
          WHERE ((q.business_key = f.business_key) AND (q.resolved_at IS NULL) AND (q.route_id = j.route_id))
          ORDER BY q.id DESC
         LIMIT 1) c ON (true))
  WHERE ((f.resolved_at IS NULL) AND (f.kind = ANY (ARRAY['missing'::text, 'gone'::text])));

COMMENT ON VIEW makegood.paid_not_purchased IS 'Payments that succeeded and have no purchase, as far as the reconciler has looked. Costs nothing to ask.';

COMMENT ON COLUMN makegood.paid_not_purchased.payment IS 'The payment, by its business key.';

COMMENT ON COLUMN makegood.paid_not_purchased.paid_at IS 'When it became paid.';

COMMENT ON COLUMN makegood.paid_not_purchased.age IS 'How long ago that is; where it is no time of the past, how long ago the payment was found.';

COMMENT ON COLUMN makegood.paid_not_purchased.as_of IS 'When the reconciler last looked; old if no daemon runs.';

COMMENT ON COLUMN makegood.paid_not_purchased.kind IS 'missing, or gone if a purchase existed once and was removed.';

COMMENT ON COLUMN makegood.paid_not_purchased.detail IS 'Why it has not been made good, if that was tried, or why its event is in quarantine.';

COMMENT ON COLUMN makegood.paid_not_purchased.route IS 'The route that would make it good.';

COMMENT ON COLUMN makegood.paid_not_purchased.job IS 'The job that looks for it.';

COMMENT ON COLUMN makegood.paid_not_purchased.finding IS 'Its number among the findings.';

CREATE VIEW makegood.publishers AS
 SELECT p.role,
    p.topics,
    p.quota,
    p.used
   FROM makegood.outbox_publishers_used() p(role, topics, quota, used);

COMMENT ON VIEW makegood.publishers IS 'Roles that may publish, to which topics, and how much. Where it is empty, whoever may call publish may name every topic.';

COMMENT ON COLUMN makegood.publishers.role IS 'The role; its members may do the same.';

COMMENT ON COLUMN makegood.publishers.topics IS 'The topics, or * for all.';

COMMENT ON COLUMN makegood.publishers.quota IS 'How many bytes it may have in the outbox; null for any number.';

COMMENT ON COLUMN makegood.publishers.used IS 'How many it has, events that were sent and are still kept included, each rounded up to 1 KiB; null without a quota.';

CREATE VIEW makegood.quarantine_decisions AS
 SELECT d.id AS decision,
    d.kind,
    r.name AS route,
    d.quarantine_id,
    d.decided_by,
    d.decided_via,
    d.decided_at,
    d.reason,
        CASE
            WHEN (d.finished_at IS NOT NULL) THEN 'done'::text
            WHEN ((d.kind = 'accept'::text) AND (d.started_at IS NOT NULL)) THEN 'in force'::text
            WHEN (d.held IS NOT NULL) THEN 'held'::text
            ELSE 'waiting'::text
        END AS state,
    d.held,
    d.started_at,
    d.finished_at,
    d.outcome,
    d.detail
   FROM (makegood.decisions d
     JOIN makegood.routes r ON ((r.id = d.route_id)));

COMMENT ON VIEW makegood.quarantine_decisions IS 'What people decided on quarantined records: replayed, discarded, or accepted too many of them.';

COMMENT ON COLUMN makegood.quarantine_decisions.decision IS 'Its number, as the function returned it.';

COMMENT ON COLUMN makegood.quarantine_decisions.kind IS 'replay: apply the record again; discard: give it up; accept: let refused records into quarantine without a proof.';

COMMENT ON COLUMN makegood.quarantine_decisions.route IS 'The route.';

COMMENT ON COLUMN makegood.quarantine_decisions.quarantine_id IS 'The record; null for accept.';

COMMENT ON COLUMN makegood.quarantine_decisions.decided_by IS 'The role that decided, as it logged in.';

COMMENT ON COLUMN makegood.quarantine_decisions.decided_via IS 'How: sql or cli, by what the application calls itself.';

COMMENT ON COLUMN makegood.quarantine_decisions.decided_at IS 'When.';

COMMENT ON COLUMN makegood.quarantine_decisions.reason IS 'Why, if that was said.';

COMMENT ON COLUMN makegood.quarantine_decisions.state IS 'waiting: for a daemon, or for refused records; held: see held, it goes on by itself; in force: refused records go to quarantine; done.';

COMMENT ON COLUMN makegood.quarantine_decisions.held IS 'Why a replay waits, if it was tried.';

COMMENT ON COLUMN makegood.quarantine_decisions.started_at IS 'When it first took effect.';

COMMENT ON COLUMN makegood.quarantine_decisions.finished_at IS 'When it was over.';

COMMENT ON COLUMN makegood.quarantine_decisions.outcome IS 'For a replay applied, already, conflict, ignored or other_type; healed: the payment is missing no purchase; settled: dealt with before; rejected, refused, undecodable, no_payment or mismatch: it stays in quarantine.';

COMMENT ON COLUMN makegood.quarantine_decisions.detail IS 'What there is to say about the outcome.';

ALTER TABLE makegood.quarantine ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME makegood.quarantine_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW makegood.quarantine_open AS
 SELECT q.id,
    r.name AS route,
    q.reason,
    q.sqlstate,
    q.detail,
    q.topic,
    q.topic_id,
    q.partition,
    q."offset",
    q.event_id,
    COALESCE(q.whole_bytes, octet_length(q.value)) AS value_bytes,
    cardinality(q.header_names) AS headers,
    q.record_at,
    q.quarantined_at,
    q.business_key,
    q.attempts
   FROM (makegood.quarantine q
     JOIN makegood.routes r ON ((r.id = q.route_id)))
  WHERE ((q.resolved_at IS NULL) AND (q.judged_at IS NOT NULL));

COMMENT ON VIEW makegood.quarantine_open IS 'Records waiting for a decision, without their contents; makegood quarantine show ID has those.';

COMMENT ON COLUMN makegood.quarantine_open.id IS 'The number that quarantine show takes.';

COMMENT ON COLUMN makegood.quarantine_open.route IS 'The route that read the record.';

COMMENT ON COLUMN makegood.quarantine_open.reason IS 'Why it could not be applied, one word.';

COMMENT ON COLUMN makegood.quarantine_open.sqlstate IS 'PostgreSQL''s error code, if it refused the record.';

COMMENT ON COLUMN makegood.quarantine_open.detail IS 'The reason in a sentence, without the record''s contents.';

COMMENT ON COLUMN makegood.quarantine_open.topic IS 'The topic it was read from.';

COMMENT ON COLUMN makegood.quarantine_open.topic_id IS 'That topic''s id.';

COMMENT ON COLUMN makegood.quarantine_open.partition IS 'Its partition; null for an event that makegood made from a payment.';

COMMENT ON COLUMN makegood.quarantine_open."offset" IS 'Its offset.';

COMMENT ON COLUMN makegood.quarantine_open.event_id IS 'Its event id; derived from its place where it has none.';

COMMENT ON COLUMN makegood.quarantine_open.value_bytes IS 'The size of its value in bytes; null for none.';

COMMENT ON COLUMN makegood.quarantine_open.headers IS 'How many headers it has.';

COMMENT ON COLUMN makegood.quarantine_open.record_at IS 'The Kafka record''s timestamp.';

COMMENT ON COLUMN makegood.quarantine_open.quarantined_at IS 'When it was put here.';

COMMENT ON COLUMN makegood.quarantine_open.business_key IS 'The payment, if the event could be read so far.';

COMMENT ON COLUMN makegood.quarantine_open.attempts IS 'How often it was replayed in vain.';

CREATE VIEW makegood.reconcile_findings AS
 SELECT f.id AS finding,
    f.job,
    f.business_key AS payment,
    f.kind,
    f.paid_at,
    f.expected,
    f.found,
    COALESCE(f.detail, c.detail) AS detail,
    f.run_id AS run,
    f.first_seen_at,
    f.resolved_at,
    f.resolution,
    f.resolved_run_id AS resolved_run,
    f.resolved_by,
    f.note,
    COALESCE(f.quarantine_id, c.id) AS quarantine_id
   FROM (makegood.findings f
     LEFT JOIN LATERAL ( SELECT q.id,
            q.detail
           FROM makegood.quarantine q
          WHERE ((q.business_key = f.business_key) AND (q.resolved_at IS NULL) AND (f.resolved_at IS NULL) AND (f.kind = 'missing'::text) AND (q.route_id = ( SELECT j.route_id
                   FROM makegood.jobs j
                  WHERE (j.name = f.job))))
          ORDER BY q.id DESC
         LIMIT 1) c ON (true));

COMMENT ON VIEW makegood.reconcile_findings IS 'What the reconciler found, open and resolved.';

COMMENT ON COLUMN makegood.reconcile_findings.finding IS 'Its number, as makegood.dismiss takes it.';

COMMENT ON COLUMN makegood.reconcile_findings.job IS 'The job that found it.';

COMMENT ON COLUMN makegood.reconcile_findings.payment IS 'The payment, by its business key.';

COMMENT ON COLUMN makegood.reconcile_findings.kind IS 'missing: no purchase; gone: there was one, and it was removed; else what conflicts.sql calls it.';

COMMENT ON COLUMN makegood.reconcile_findings.paid_at IS 'When the payment became paid; for a contradiction when it was last changed.';

COMMENT ON COLUMN makegood.reconcile_findings.expected IS 'What the payment says.';

COMMENT ON COLUMN makegood.reconcile_findings.found IS 'What the purchase says.';

COMMENT ON COLUMN makegood.reconcile_findings.detail IS 'What there is to say about it.';

COMMENT ON COLUMN makegood.reconcile_findings.run IS 'The run that found it; null if the look at recent payments did.';

COMMENT ON COLUMN makegood.reconcile_findings.first_seen_at IS 'When it was found.';

COMMENT ON COLUMN makegood.reconcile_findings.resolved_at IS 'When it was resolved; null while it is open.';

COMMENT ON COLUMN makegood.reconcile_findings.resolution IS 'made_good: by a run; healed: it was no longer so; ignored: the mapping ignores it; dismissed: by a person.';

COMMENT ON COLUMN makegood.reconcile_findings.resolved_run IS 'The run that resolved it, if one did.';

COMMENT ON COLUMN makegood.reconcile_findings.resolved_by IS 'The person who dismissed it.';

COMMENT ON COLUMN makegood.reconcile_findings.note IS 'What that person said.';

COMMENT ON COLUMN makegood.reconcile_findings.quarantine_id IS 'Where the payment''s event is that could not be applied, if one could not.';

CREATE VIEW makegood.reconcile_runs AS
 SELECT runs.id AS run,
    runs.job,
    runs.requested_by,
    runs.requested_via,
    runs.requested_at,
    runs.since,
    runs.until,
    runs.dry_run,
    runs.state,
    runs.phase,
    runs.compared,
    runs.missing,
    runs.made_good,
    runs.gone,
    runs.quarantined,
    runs.conflicts,
    runs.held,
    runs.approved_by,
    runs.approved_at,
    runs.place_at,
    runs.started_at,
    runs.moved_at,
    runs.finished_at,
    runs.error,
    runs.sample,
    runs.reason
   FROM makegood.runs;

COMMENT ON VIEW makegood.reconcile_runs IS 'Runs of the reconciler: who asked, what came of it.';

COMMENT ON COLUMN makegood.reconcile_runs.run IS 'Its number, as reconcile() returned it.';

COMMENT ON COLUMN makegood.reconcile_runs.job IS 'The job; null until a daemon with a job takes it.';

COMMENT ON COLUMN makegood.reconcile_runs.requested_by IS 'The role that asked, or the host and process for a signal.';

COMMENT ON COLUMN makegood.reconcile_runs.requested_via IS 'How it was asked: sql, cli, signal or schedule.';

COMMENT ON COLUMN makegood.reconcile_runs.requested_at IS 'When it was asked.';

COMMENT ON COLUMN makegood.reconcile_runs.since IS 'Payments that became paid from then on; null from the first on.';

COMMENT ON COLUMN makegood.reconcile_runs.until IS 'Payments that became paid before then; null until it starts, if nobody said.';

COMMENT ON COLUMN makegood.reconcile_runs.dry_run IS 'Whether it only reports.';

COMMENT ON COLUMN makegood.reconcile_runs.state IS 'requested, running, held (see held; makegood.approve lets it go on), done or failed.';

COMMENT ON COLUMN makegood.reconcile_runs.phase IS 'What it is at: compare, make_good, conflicts.';

COMMENT ON COLUMN makegood.reconcile_runs.compared IS 'Payments looked at.';

COMMENT ON COLUMN makegood.reconcile_runs.missing IS 'Payments found without a purchase, which are to be made good.';

COMMENT ON COLUMN makegood.reconcile_runs.made_good IS 'Purchases it made; in a dry run those it would have made.';

COMMENT ON COLUMN makegood.reconcile_runs.gone IS 'Payments whose purchase existed once and was removed: for people, not made again.';

COMMENT ON COLUMN makegood.reconcile_runs.quarantined IS 'Payments that cannot be made good; their reasons are in quarantine.';

COMMENT ON COLUMN makegood.reconcile_runs.conflicts IS 'Contradictions between payments and purchases that are there.';

COMMENT ON COLUMN makegood.reconcile_runs.held IS 'Why it waits, if it does.';

COMMENT ON COLUMN makegood.reconcile_runs.approved_by IS 'Who let it go on after it was held.';

COMMENT ON COLUMN makegood.reconcile_runs.approved_at IS 'When it was let go on.';

COMMENT ON COLUMN makegood.reconcile_runs.place_at IS 'How far its phase has come: the time of the last payment looked at.';

COMMENT ON COLUMN makegood.reconcile_runs.started_at IS 'When a daemon took it.';

COMMENT ON COLUMN makegood.reconcile_runs.moved_at IS 'When it last moved on.';

COMMENT ON COLUMN makegood.reconcile_runs.finished_at IS 'When it ended.';

COMMENT ON COLUMN makegood.reconcile_runs.error IS 'Why it failed.';

COMMENT ON COLUMN makegood.reconcile_runs.sample IS 'The first findings of a dry run, which leaves no findings.';

COMMENT ON COLUMN makegood.reconcile_runs.reason IS 'Why the schedule asked for it; null for what a person or a signal asked for.';

ALTER TABLE makegood.routes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME makegood.routes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE makegood.runs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME makegood.runs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE makegood.verdicts (
    route_id smallint NOT NULL,
    writer uuid NOT NULL,
    verdict text NOT NULL,
    rank smallint NOT NULL,
    sentence text NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL,
    judged_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE makegood.verdicts IS 'One row a route: what a daemon last said of it, shown by the view status while it is fresh.';

CREATE TABLE makegood.workers (
    id uuid NOT NULL,
    route_id smallint NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    version text NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    state text NOT NULL,
    state_since timestamp with time zone DEFAULT now() NOT NULL,
    reason text,
    advice text,
    partitions integer[] DEFAULT '{}'::integer[] NOT NULL,
    CONSTRAINT workers_state_check CHECK ((state = ANY (ARRAY['joining'::text, 'running'::text, 'stalled'::text, 'held'::text])))
);

COMMENT ON TABLE makegood.workers IS 'One row a running daemon and route, refreshed every few seconds.';

CREATE VIEW makegood.status AS
 WITH "position" AS (
         SELECT consumer_positions.route,
            count(*) AS partitions,
            (sum(consumer_positions.lag))::bigint AS lag,
            max(consumer_positions.progress_at) AS progress_at,
            min(consumer_positions.log_seen_at) AS log_seen_at,
            max(GREATEST(consumer_positions.log_seen_at, consumer_positions.written_at)) AS seen_at,
            (sum(consumer_positions.applied))::bigint AS applied,
            (sum(consumer_positions.already))::bigint AS already,
            (sum(consumer_positions.conflict))::bigint AS conflict,
            (sum(consumer_positions.ignored))::bigint AS ignored,
            (sum(consumer_positions.duplicate))::bigint AS duplicate,
            (sum(consumer_positions.quarantined))::bigint AS quarantined,
            (sum(consumer_positions.other_type))::bigint AS other_type
           FROM makegood.consumer_positions
          WHERE consumer_positions.is_current
          GROUP BY consumer_positions.route
        ), worker AS (
         SELECT w_1.route_id,
            count(*) FILTER (WHERE w_1.alive) AS workers,
            min(w_1.state_since) FILTER (WHERE w_1.kept) AS held_since,
            max(w_1.seen_at) FILTER (WHERE (w_1.seen_at <= (now() + '00:00:30'::interval))) AS seen_at,
            COALESCE(min(w_1.reason) FILTER (WHERE w_1.held), min(w_1.reason) FILTER (WHERE w_1.kept)) AS reason,
            COALESCE(min(w_1.advice) FILTER (WHERE w_1.held), min(w_1.advice) FILTER (WHERE w_1.kept)) AS advice
           FROM ( SELECT w_2.id,
                    w_2.route_id,
                    w_2.host,
                    w_2.pid,
                    w_2.version,
                    w_2.started_at,
                    w_2.seen_at,
                    w_2.state,
                    w_2.state_since,
                    w_2.reason,
                    w_2.advice,
                    w_2.partitions,
                    w_2.alive,
                    (w_2.alive AND (w_2.state = 'held'::text)) AS held,
                    (w_2.alive AND (w_2.state = ANY (ARRAY['held'::text, 'stalled'::text]))) AS kept
                   FROM ( SELECT workers.id,
                            workers.route_id,
                            workers.host,
                            workers.pid,
                            workers.version,
                            workers.started_at,
                            workers.seen_at,
                            workers.state,
                            workers.state_since,
                            workers.reason,
                            workers.advice,
                            workers.partitions,
                            ((workers.seen_at >= (now() - '00:00:30'::interval)) AND (workers.seen_at <= (now() + '00:00:30'::interval))) AS alive
                           FROM makegood.workers) w_2) w_1
          GROUP BY w_1.route_id
        ), waiting AS (
         SELECT q_1.route_id,
            count(q_1.judged_at) AS quarantine_open,
            count(*) FILTER (WHERE q_1.refused) AS suspects,
            min(q_1.quarantined_at) FILTER (WHERE q_1.refused) AS suspects_since,
            (array_agg(q_1.detail ORDER BY q_1.id) FILTER (WHERE q_1.refused))[1] AS reason,
            (array_agg(q_1.advice ORDER BY q_1.id) FILTER (WHERE q_1.refused))[1] AS advice
           FROM ( SELECT quarantine.id,
                    quarantine.route_id,
                    quarantine.topic,
                    quarantine.topic_id,
                    quarantine.partition,
                    quarantine."offset",
                    quarantine.business_key,
                    quarantine.record_at,
                    quarantine.key,
                    quarantine.value,
                    quarantine.whole_bytes,
                    quarantine.header_names,
                    quarantine.header_values,
                    quarantine.event_id,
                    quarantine.digest,
                    quarantine.reason,
                    quarantine.sqlstate,
                    quarantine.detail,
                    quarantine.advice,
                    quarantine.suspect,
                    quarantine.fingerprint,
                    quarantine.quarantined_at,
                    quarantine.judged_at,
                    quarantine.attempts,
                    quarantine.resolved_at,
                    quarantine.resolution,
                    ((quarantine.judged_at IS NULL) AND (quarantine.suspect IS DISTINCT FROM 'unverified'::text)) AS refused
                   FROM makegood.quarantine) q_1
          WHERE (q_1.resolved_at IS NULL)
          GROUP BY q_1.route_id
        ), unpurchased AS (
         SELECT paid_not_purchased.route,
            count(*) AS payments,
            (now() - max(paid_not_purchased.age)) AS paid_at
           FROM makegood.paid_not_purchased
          GROUP BY paid_not_purchased.route
        ), job AS (
         SELECT jobs.route_id,
                CASE
                    WHEN (count(*) = count(jobs.looked_at)) THEN min(jobs.looked_at)
                    ELSE NULL::timestamp with time zone
                END AS counted_at
           FROM makegood.jobs
          GROUP BY jobs.route_id
        ), gap AS (
         SELECT gaps.route_id,
            count(*) AS gaps_open
           FROM makegood.gaps
          WHERE (gaps.covered_at IS NULL)
          GROUP BY gaps.route_id
        )
 SELECT r.name AS route,
        CASE
            WHEN ((w.workers > 0) AND heard.lately) THEN COALESCE(v.verdict, 'unknown'::text)
            ELSE 'down'::text
        END AS verdict,
    COALESCE(w.workers, (0)::bigint) AS workers,
    COALESCE(w.held_since, q.suspects_since) AS held_since,
    COALESCE(w.reason, q.reason) AS reason,
    COALESCE(w.advice, q.advice) AS advice,
    COALESCE(p.partitions, (0)::bigint) AS partitions,
    p.lag,
    p.progress_at,
    p.log_seen_at,
    COALESCE(p.applied, (0)::bigint) AS applied,
    COALESCE(p.already, (0)::bigint) AS already,
    COALESCE(p.conflict, (0)::bigint) AS conflict,
    COALESCE(p.ignored, (0)::bigint) AS ignored,
    COALESCE(p.duplicate, (0)::bigint) AS duplicate,
    COALESCE(p.quarantined, (0)::bigint) AS quarantined,
    COALESCE(p.other_type, (0)::bigint) AS other_type,
    COALESCE(q.quarantine_open, (0)::bigint) AS quarantine_open,
    r.topic,
    r.consumer_group,
    GREATEST(w.seen_at, p.seen_at) AS seen_at,
    COALESCE(u.payments, (0)::bigint) AS paid_not_purchased,
    u.paid_at AS oldest_not_purchased_at,
    COALESCE(g.gaps_open, (0)::bigint) AS gaps_open,
    COALESCE(q.suspects, (0)::bigint) AS suspects,
    r.believes,
        CASE
            WHEN ((w.workers > 0) AND heard.lately) THEN COALESCE(v.sentence, 'unknown: no daemon has judged it within ten seconds'::text)
            ELSE 'down: no daemon has been heard of for eight seconds'::text
        END AS sentence,
    v.since AS verdict_since,
    v.judged_at,
    j.counted_at
   FROM ((((((((makegood.routes r
     LEFT JOIN "position" p ON ((p.route = r.name)))
     LEFT JOIN worker w ON ((w.route_id = r.id)))
     LEFT JOIN waiting q ON ((q.route_id = r.id)))
     LEFT JOIN unpurchased u ON ((u.route = r.name)))
     LEFT JOIN gap g ON ((g.route_id = r.id)))
     CROSS JOIN LATERAL ( SELECT (GREATEST(w.seen_at, p.seen_at) >= (now() - '00:00:08'::interval)) AS lately) heard)
     LEFT JOIN job j ON ((j.route_id = r.id)))
     LEFT JOIN makegood.verdicts v ON (((v.route_id = r.id) AND ((v.judged_at >= (now() - '00:00:10'::interval)) AND (v.judged_at <= (now() + '00:00:30'::interval))))));

COMMENT ON VIEW makegood.status IS 'One row a route: is it working, and if not, why and what to do. Never reads the inbox.';

COMMENT ON COLUMN makegood.status.route IS 'The route''s name.';

COMMENT ON COLUMN makegood.status.verdict IS 'What the daemons say, as the page, the commands, the metrics and the alerts do; ok and behind are fine. down: no daemon runs, or none was heard of for eight seconds; unknown: none has judged it lately.';

COMMENT ON COLUMN makegood.status.workers IS 'Daemons seen within the last thirty seconds.';

COMMENT ON COLUMN makegood.status.held_since IS 'Since when the route is held or stalled, or the oldest suspect waits.';

COMMENT ON COLUMN makegood.status.reason IS 'Why it is held or stalled, or what the oldest suspect was refused for.';

COMMENT ON COLUMN makegood.status.advice IS 'What to do about it.';

COMMENT ON COLUMN makegood.status.partitions IS 'Partitions with a position; of a topic made anew only those of its newest id count, here and below.';

COMMENT ON COLUMN makegood.status.lag IS 'Records waiting in Kafka, when a daemon last looked.';

COMMENT ON COLUMN makegood.status.progress_at IS 'When any partition last moved on.';

COMMENT ON COLUMN makegood.status.log_seen_at IS 'How old the lag is: the oldest look at a partition''s log.';

COMMENT ON COLUMN makegood.status.applied IS 'Events that made a purchase.';

COMMENT ON COLUMN makegood.status.already IS 'Events whose purchase existed.';

COMMENT ON COLUMN makegood.status.conflict IS 'Events whose purchase exists and differs.';

COMMENT ON COLUMN makegood.status.ignored IS 'Events the mapping had nothing to do for.';

COMMENT ON COLUMN makegood.status.duplicate IS 'Records of an event already in the inbox.';

COMMENT ON COLUMN makegood.status.quarantined IS 'Records ever put into quarantine.';

COMMENT ON COLUMN makegood.status.other_type IS 'Records of another event type.';

COMMENT ON COLUMN makegood.status.quarantine_open IS 'Records in quarantine that wait for a decision.';

COMMENT ON COLUMN makegood.status.topic IS 'The topic it reads.';

COMMENT ON COLUMN makegood.status.consumer_group IS 'The Kafka consumer group it reads in.';

COMMENT ON COLUMN makegood.status.seen_at IS 'When a daemon last wrote anything for this route.';

COMMENT ON COLUMN makegood.status.paid_not_purchased IS 'Payments that succeeded and have no purchase, as in paid_not_purchased.';

COMMENT ON COLUMN makegood.status.oldest_not_purchased_at IS 'When the oldest of them became paid.';

COMMENT ON COLUMN makegood.status.gaps_open IS 'Ranges of offsets that were never read and no sweep has covered yet, as in gaps_open.';

COMMENT ON COLUMN makegood.status.suspects IS 'Refused records that wait for a verdict, as in the view suspects.';

COMMENT ON COLUMN makegood.status.believes IS 'Why its events are believed without a look at their payments; null where a purchase is made only for a payment that is there, succeeded and says the same.';

COMMENT ON COLUMN makegood.status.sentence IS 'The same in a sentence, with the cause and what to do.';

COMMENT ON COLUMN makegood.status.verdict_since IS 'Since when the verdict is what it is.';

COMMENT ON COLUMN makegood.status.judged_at IS 'When a daemon last judged the route.';

COMMENT ON COLUMN makegood.status.counted_at IS 'When the reconciler last looked at recent payments, and so how old paid_not_purchased is; null if a job of the route never did, or it has none.';

CREATE VIEW makegood.suspects AS
 SELECT q.id,
    r.name AS route,
    q.suspect AS state,
    q.sqlstate,
    q.detail,
    q.advice,
    q.business_key,
    q.event_id,
    q.topic,
    q.partition,
    q."offset",
    q.quarantined_at AS refused_at,
    q.fingerprint
   FROM (makegood.quarantine q
     JOIN makegood.routes r ON ((r.id = q.route_id)))
  WHERE ((q.resolved_at IS NULL) AND (q.judged_at IS NULL));

COMMENT ON VIEW makegood.suspects IS 'Records that PostgreSQL refused while it is not known whether they or the world are at fault, and events whose payment may only be late. They are tried again without anybody''s help.';

COMMENT ON COLUMN makegood.suspects.id IS 'The number that quarantine show takes.';

COMMENT ON COLUMN makegood.suspects.route IS 'The route that read the record.';

COMMENT ON COLUMN makegood.suspects.state IS 'unproven: nothing was applied by the same mapping since; proven: something was, so that one more refusal is the record''s own fault; unverified: its payment was not there, or said something else, less than a minute ago.';

COMMENT ON COLUMN makegood.suspects.sqlstate IS 'PostgreSQL''s error code.';

COMMENT ON COLUMN makegood.suspects.detail IS 'What PostgreSQL said, without the record''s contents.';

COMMENT ON COLUMN makegood.suspects.advice IS 'What would mend it, if the world is at fault.';

COMMENT ON COLUMN makegood.suspects.business_key IS 'The payment, if the event could be read so far.';

COMMENT ON COLUMN makegood.suspects.event_id IS 'Its event id; derived from its place where it has none.';

COMMENT ON COLUMN makegood.suspects.topic IS 'The topic it was read from.';

COMMENT ON COLUMN makegood.suspects.partition IS 'Its partition; null for an event that makegood made from a payment.';

COMMENT ON COLUMN makegood.suspects."offset" IS 'Its offset.';

COMMENT ON COLUMN makegood.suspects.refused_at IS 'When it was refused first.';

COMMENT ON COLUMN makegood.suspects.fingerprint IS 'The mapping that refused it last, as the log names it.';

CREATE TABLE makegood.test_events (
    id uuid NOT NULL,
    route_id smallint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    outcome text,
    mapping_outcome text,
    detail text,
    partition integer,
    "offset" bigint
);

COMMENT ON TABLE makegood.test_events IS 'Records of makegood send-test: applied, rolled back, answered here.';

ALTER TABLE ONLY makegood.inbox ATTACH PARTITION makegood.inbox_0 FOR VALUES IN ('0');

ALTER TABLE ONLY makegood.inbox ATTACH PARTITION makegood.inbox_1 FOR VALUES IN ('1');

ALTER TABLE ONLY makegood.inbox ATTACH PARTITION makegood.inbox_2 FOR VALUES IN ('2');

ALTER TABLE ONLY makegood.outbox ATTACH PARTITION makegood.outbox_0 FOR VALUES IN ('0');

ALTER TABLE ONLY makegood.outbox ATTACH PARTITION makegood.outbox_1 FOR VALUES IN ('1');

ALTER TABLE ONLY makegood.outbox ATTACH PARTITION makegood.outbox_2 FOR VALUES IN ('2');

ALTER TABLE ONLY makegood.asks
    ADD CONSTRAINT asks_pkey PRIMARY KEY (id);

ALTER TABLE ONLY makegood.audit_entries
    ADD CONSTRAINT audit_entries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY makegood.decisions
    ADD CONSTRAINT decisions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY makegood.findings
    ADD CONSTRAINT findings_pkey PRIMARY KEY (id);

ALTER TABLE ONLY makegood.four_eyes
    ADD CONSTRAINT four_eyes_pkey PRIMARY KEY (is_one);

ALTER TABLE ONLY makegood.gaps
    ADD CONSTRAINT gaps_pkey PRIMARY KEY (id);

ALTER TABLE ONLY makegood.gaps
    ADD CONSTRAINT gaps_route_id_topic_id_partition_from_offset_to_offset_key UNIQUE (route_id, topic_id, partition, from_offset, to_offset);

ALTER TABLE ONLY makegood.ignored_types
    ADD CONSTRAINT ignored_types_pkey PRIMARY KEY (route_id, event_type);

ALTER TABLE ONLY makegood.inbox_0
    ADD CONSTRAINT inbox_0_pkey PRIMARY KEY (event_id, route_id);

ALTER TABLE ONLY makegood.inbox_1
    ADD CONSTRAINT inbox_1_pkey PRIMARY KEY (event_id, route_id);

ALTER TABLE ONLY makegood.inbox_2
    ADD CONSTRAINT inbox_2_pkey PRIMARY KEY (event_id, route_id);

ALTER TABLE ONLY makegood.inbox_ended
    ADD CONSTRAINT inbox_ended_pkey PRIMARY KEY (route_id, what, turn, first_key);

ALTER TABLE ONLY makegood.inbox_migrations
    ADD CONSTRAINT inbox_migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY makegood.inbox_reach
    ADD CONSTRAINT inbox_reach_pkey PRIMARY KEY (turn, route_id, partition);

ALTER TABLE ONLY makegood.inbox_turns
    ADD CONSTRAINT inbox_turns_pkey PRIMARY KEY (turn);

ALTER TABLE ONLY makegood.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (name);

ALTER TABLE ONLY makegood.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (seq, slot);

ALTER TABLE ONLY makegood.outbox_0
    ADD CONSTRAINT outbox_0_pkey PRIMARY KEY (seq, slot);

ALTER TABLE ONLY makegood.outbox_1
    ADD CONSTRAINT outbox_1_pkey PRIMARY KEY (seq, slot);

ALTER TABLE ONLY makegood.outbox_2
    ADD CONSTRAINT outbox_2_pkey PRIMARY KEY (seq, slot);

ALTER TABLE ONLY makegood.outbox_discarded
    ADD CONSTRAINT outbox_discarded_pkey PRIMARY KEY (id, seq);

ALTER TABLE ONLY makegood.outbox_migrations
    ADD CONSTRAINT outbox_migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY makegood.outbox_parked
    ADD CONSTRAINT outbox_parked_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY makegood.outbox_publishers
    ADD CONSTRAINT outbox_publishers_pkey PRIMARY KEY (role);

ALTER TABLE ONLY makegood.outbox_steps
    ADD CONSTRAINT outbox_steps_pkey PRIMARY KEY (shard, step);

ALTER TABLE ONLY makegood.outbox_turns
    ADD CONSTRAINT outbox_turns_pkey PRIMARY KEY (turn);

ALTER TABLE ONLY makegood.outbox_verdict
    ADD CONSTRAINT outbox_verdict_pkey PRIMARY KEY (one);

ALTER TABLE ONLY makegood.positions
    ADD CONSTRAINT positions_pkey PRIMARY KEY (consumer_group, topic_id, partition, step);

ALTER TABLE ONLY makegood.quarantine
    ADD CONSTRAINT quarantine_pkey PRIMARY KEY (id);

ALTER TABLE ONLY makegood.quarantine
    ADD CONSTRAINT quarantine_route_id_topic_id_partition_offset_digest_key UNIQUE (route_id, topic_id, partition, "offset", digest);

ALTER TABLE ONLY makegood.routes
    ADD CONSTRAINT routes_name_key UNIQUE (name);

ALTER TABLE ONLY makegood.routes
    ADD CONSTRAINT routes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY makegood.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY makegood.test_events
    ADD CONSTRAINT test_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY makegood.verdicts
    ADD CONSTRAINT verdicts_pkey PRIMARY KEY (route_id);

ALTER TABLE ONLY makegood.watermarks
    ADD CONSTRAINT watermarks_pkey PRIMARY KEY (consumer_group, topic_id, partition);

ALTER TABLE ONLY makegood.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (id, route_id);

CREATE UNIQUE INDEX asks_open ON makegood.asks USING btree (action, subject) WHERE (approved_at IS NULL);

CREATE INDEX audit_entries_at ON makegood.audit_entries USING btree (at);

CREATE UNIQUE INDEX decisions_open_accept ON makegood.decisions USING btree (route_id) WHERE ((kind = 'accept'::text) AND (finished_at IS NULL));

CREATE UNIQUE INDEX decisions_open_replay ON makegood.decisions USING btree (quarantine_id) WHERE ((kind = 'replay'::text) AND (finished_at IS NULL));

CREATE INDEX decisions_quarantine ON makegood.decisions USING btree (quarantine_id);

CREATE INDEX decisions_waiting ON makegood.decisions USING btree (route_id, id) WHERE (finished_at IS NULL);

CREATE INDEX findings_business_key ON makegood.findings USING btree (business_key);

CREATE UNIQUE INDEX findings_open ON makegood.findings USING btree (job, kind, business_key) WHERE (resolved_at IS NULL);

CREATE INDEX findings_open_missing ON makegood.findings USING btree (job, paid_at, business_key) WHERE ((resolved_at IS NULL) AND (kind = 'missing'::text));

CREATE INDEX findings_resolved_run ON makegood.findings USING btree (resolved_run_id);

CREATE INDEX findings_run ON makegood.findings USING btree (run_id);

CREATE INDEX gaps_uncovered ON makegood.gaps USING btree (route_id, found_at) WHERE (covered_at IS NULL);

CREATE INDEX inbox_applied_at ON ONLY makegood.inbox USING btree (applied_at);

CREATE INDEX inbox_0_applied_at ON makegood.inbox_0 USING btree (applied_at);

CREATE INDEX inbox_business_key ON ONLY makegood.inbox USING btree (business_key);

CREATE INDEX inbox_0_business_key ON makegood.inbox_0 USING btree (business_key);

CREATE INDEX inbox_1_applied_at_idx ON makegood.inbox_1 USING btree (applied_at);

CREATE INDEX inbox_1_business_key_idx ON makegood.inbox_1 USING btree (business_key);

CREATE INDEX inbox_2_applied_at_idx ON makegood.inbox_2 USING btree (applied_at);

CREATE INDEX inbox_2_business_key_idx ON makegood.inbox_2 USING btree (business_key);

CREATE INDEX outbox_key ON ONLY makegood.outbox USING btree (aggregateid);

CREATE INDEX outbox_0_aggregateid_idx ON makegood.outbox_0 USING btree (aggregateid);

CREATE INDEX outbox_id ON ONLY makegood.outbox USING btree (id);

CREATE INDEX outbox_0_id_idx ON makegood.outbox_0 USING btree (id);

CREATE INDEX outbox_xid ON ONLY makegood.outbox USING btree (xid, seq);

CREATE INDEX outbox_0_xid_seq_idx ON makegood.outbox_0 USING btree (xid, seq);

CREATE INDEX outbox_1_aggregateid_idx ON makegood.outbox_1 USING btree (aggregateid);

CREATE INDEX outbox_1_id_idx ON makegood.outbox_1 USING btree (id);

CREATE INDEX outbox_1_xid_seq_idx ON makegood.outbox_1 USING btree (xid, seq);

CREATE INDEX outbox_2_aggregateid_idx ON makegood.outbox_2 USING btree (aggregateid);

CREATE INDEX outbox_2_id_idx ON makegood.outbox_2 USING btree (id);

CREATE INDEX outbox_2_xid_seq_idx ON makegood.outbox_2 USING btree (xid, seq);

CREATE INDEX outbox_parked_id ON makegood.outbox_parked USING btree (id);

CREATE INDEX outbox_parked_key ON makegood.outbox_parked USING btree (aggregateid, aggregatetype, seq) WHERE (NOT by_topic);

CREATE INDEX outbox_parked_retry ON makegood.outbox_parked USING btree (seq) WHERE (retry_at IS NOT NULL);

CREATE INDEX outbox_parked_topic ON makegood.outbox_parked USING btree (aggregatetype, seq) WHERE by_topic;

CREATE INDEX outbox_parked_topic_key ON makegood.outbox_parked USING btree (aggregateid, aggregatetype, seq) WHERE by_topic;

CREATE INDEX quarantine_business_key ON makegood.quarantine USING btree (business_key) WHERE (business_key IS NOT NULL);

CREATE INDEX quarantine_doubted ON makegood.quarantine USING btree (route_id, id) WHERE ((reason = ANY (ARRAY['no_payment'::text, 'mismatch'::text])) AND (resolved_at IS NULL));

CREATE INDEX quarantine_open_cases ON makegood.quarantine USING btree (route_id, id) WHERE (resolved_at IS NULL);

CREATE UNIQUE INDEX quarantine_open_event ON makegood.quarantine USING btree (event_id, digest, route_id) WHERE (resolved_at IS NULL);

CREATE UNIQUE INDEX quarantine_open_payment ON makegood.quarantine USING btree (route_id, business_key) WHERE ((resolved_at IS NULL) AND (topic_id IS NULL));

CREATE INDEX quarantine_suspects ON makegood.quarantine USING btree (route_id, id) WHERE ((suspect IS NOT NULL) AND (resolved_at IS NULL));

CREATE INDEX runs_open ON makegood.runs USING btree (id) WHERE (state = ANY (ARRAY['requested'::text, 'running'::text, 'held'::text]));

CREATE UNIQUE INDEX runs_requested ON makegood.runs USING btree (COALESCE(job, ''::text), COALESCE(since, '-infinity'::timestamp with time zone), COALESCE(until, 'infinity'::timestamp with time zone), dry_run) WHERE ((state = 'requested'::text) AND (approved_at IS NULL));

ALTER INDEX makegood.inbox_applied_at ATTACH PARTITION makegood.inbox_0_applied_at;

ALTER INDEX makegood.inbox_business_key ATTACH PARTITION makegood.inbox_0_business_key;

ALTER INDEX makegood.inbox_applied_at ATTACH PARTITION makegood.inbox_1_applied_at_idx;

ALTER INDEX makegood.inbox_business_key ATTACH PARTITION makegood.inbox_1_business_key_idx;

ALTER INDEX makegood.inbox_applied_at ATTACH PARTITION makegood.inbox_2_applied_at_idx;

ALTER INDEX makegood.inbox_business_key ATTACH PARTITION makegood.inbox_2_business_key_idx;

ALTER INDEX makegood.outbox_key ATTACH PARTITION makegood.outbox_0_aggregateid_idx;

ALTER INDEX makegood.outbox_id ATTACH PARTITION makegood.outbox_0_id_idx;

ALTER INDEX makegood.outbox_pkey ATTACH PARTITION makegood.outbox_0_pkey;

ALTER INDEX makegood.outbox_xid ATTACH PARTITION makegood.outbox_0_xid_seq_idx;

ALTER INDEX makegood.outbox_key ATTACH PARTITION makegood.outbox_1_aggregateid_idx;

ALTER INDEX makegood.outbox_id ATTACH PARTITION makegood.outbox_1_id_idx;

ALTER INDEX makegood.outbox_pkey ATTACH PARTITION makegood.outbox_1_pkey;

ALTER INDEX makegood.outbox_xid ATTACH PARTITION makegood.outbox_1_xid_seq_idx;

ALTER INDEX makegood.outbox_key ATTACH PARTITION makegood.outbox_2_aggregateid_idx;

ALTER INDEX makegood.outbox_id ATTACH PARTITION makegood.outbox_2_id_idx;

ALTER INDEX makegood.outbox_pkey ATTACH PARTITION makegood.outbox_2_pkey;

ALTER INDEX makegood.outbox_xid ATTACH PARTITION makegood.outbox_2_xid_seq_idx;

CREATE TRIGGER audit AFTER INSERT ON makegood.decisions FOR EACH ROW EXECUTE FUNCTION makegood.audit_note('kind', 'quarantine_id', 'reason');

CREATE TRIGGER audit AFTER UPDATE OF resolution ON makegood.findings FOR EACH ROW WHEN (((new.resolution = 'dismissed'::text) AND (old.resolution IS DISTINCT FROM new.resolution))) EXECUTE FUNCTION makegood.audit_note('dismiss', 'id', 'note');

CREATE TRIGGER audit AFTER UPDATE OF covered_how ON makegood.gaps FOR EACH ROW WHEN (((new.covered_how = 'dismissed'::text) AND (old.covered_how IS DISTINCT FROM new.covered_how))) EXECUTE FUNCTION makegood.audit_note('dismiss_gap', 'id', 'note');

CREATE TRIGGER audit AFTER INSERT ON makegood.outbox_discarded FOR EACH ROW EXECUTE FUNCTION makegood.audit_note('outbox_discard', 'id', 'why');

CREATE TRIGGER audit AFTER UPDATE OF aggregatetype ON makegood.outbox_parked FOR EACH ROW WHEN ((new.aggregatetype IS DISTINCT FROM old.aggregatetype)) EXECUTE FUNCTION makegood.audit_note('outbox_topic', 'id', 'aggregatetype');

CREATE TRIGGER audit AFTER INSERT ON makegood.positions FOR EACH ROW WHEN (((new.kind = 'claim'::text) AND (new.why ~~ 'reset by %'::text))) EXECUTE FUNCTION makegood.audit_note('offsets_reset', 'consumer_group', 'why');

CREATE TRIGGER audit AFTER INSERT ON makegood.runs FOR EACH ROW WHEN ((new.requested_via = ANY (ARRAY['sql'::text, 'cli'::text]))) EXECUTE FUNCTION makegood.audit_note('reconcile', 'id', 'job');

CREATE TRIGGER audit_approval AFTER UPDATE OF approved_at ON makegood.runs FOR EACH ROW WHEN ((new.approved_at IS DISTINCT FROM old.approved_at)) EXECUTE FUNCTION makegood.audit_note('approve', 'id', 'job');

CREATE TRIGGER keep BEFORE DELETE OR UPDATE ON makegood.audit_entries FOR EACH ROW EXECUTE FUNCTION makegood.audit_keep();

CREATE TRIGGER keep BEFORE DELETE ON makegood.positions FOR EACH ROW WHEN ((old.why ~~ 'reset by %'::text)) EXECUTE FUNCTION makegood.audit_keep();

CREATE TRIGGER keep_all BEFORE TRUNCATE ON makegood.audit_entries FOR EACH STATEMENT EXECUTE FUNCTION makegood.audit_keep();

CREATE TRIGGER keep_numbers_ahead BEFORE INSERT ON makegood.decisions FOR EACH STATEMENT EXECUTE FUNCTION makegood.keep_numbers_ahead();

CREATE TRIGGER keep_numbers_ahead BEFORE INSERT ON makegood.findings FOR EACH STATEMENT EXECUTE FUNCTION makegood.keep_numbers_ahead();

CREATE TRIGGER keep_numbers_ahead BEFORE INSERT ON makegood.gaps FOR EACH STATEMENT EXECUTE FUNCTION makegood.keep_numbers_ahead();

CREATE TRIGGER keep_numbers_ahead BEFORE INSERT ON makegood.quarantine FOR EACH STATEMENT EXECUTE FUNCTION makegood.keep_numbers_ahead();

CREATE TRIGGER keep_numbers_ahead BEFORE INSERT ON makegood.routes FOR EACH STATEMENT EXECUTE FUNCTION makegood.keep_numbers_ahead();

CREATE TRIGGER keep_numbers_ahead BEFORE INSERT ON makegood.runs FOR EACH STATEMENT EXECUTE FUNCTION makegood.keep_numbers_ahead();

CREATE TRIGGER mark AFTER INSERT ON makegood.outbox_turns FOR EACH ROW EXECUTE FUNCTION makegood.outbox_mark();

CREATE TRIGGER stamp BEFORE INSERT ON makegood.audit_entries FOR EACH ROW EXECUTE FUNCTION makegood.audit_stamp();

CREATE TRIGGER stamp BEFORE INSERT ON makegood.outbox_discarded FOR EACH ROW EXECUTE FUNCTION makegood.outbox_discard_stamp();

CREATE TRIGGER stamp BEFORE INSERT ON makegood.runs FOR EACH ROW WHEN ((new.requested_via = ANY (ARRAY['sql'::text, 'cli'::text]))) EXECUTE FUNCTION makegood.run_stamp();

ALTER TABLE ONLY makegood.decisions
    ADD CONSTRAINT decisions_route_id_fkey FOREIGN KEY (route_id) REFERENCES makegood.routes(id);

ALTER TABLE ONLY makegood.gaps
    ADD CONSTRAINT gaps_route_id_fkey FOREIGN KEY (route_id) REFERENCES makegood.routes(id);

ALTER TABLE ONLY makegood.ignored_types
    ADD CONSTRAINT ignored_types_route_id_fkey FOREIGN KEY (route_id) REFERENCES makegood.routes(id);

ALTER TABLE ONLY makegood.jobs
    ADD CONSTRAINT jobs_route_id_fkey FOREIGN KEY (route_id) REFERENCES makegood.routes(id);

ALTER TABLE ONLY makegood.quarantine
    ADD CONSTRAINT quarantine_route_id_fkey FOREIGN KEY (route_id) REFERENCES makegood.routes(id);

ALTER TABLE ONLY makegood.test_events
    ADD CONSTRAINT test_events_route_id_fkey FOREIGN KEY (route_id) REFERENCES makegood.routes(id);

ALTER TABLE ONLY makegood.verdicts
    ADD CONSTRAINT verdicts_route_id_fkey FOREIGN KEY (route_id) REFERENCES makegood.routes(id);

ALTER TABLE ONLY makegood.workers
    ADD CONSTRAINT workers_route_id_fkey FOREIGN KEY (route_id) REFERENCES makegood.routes(id);
