-- What is told of a payment tells of removed rows as well.
CREATE OR REPLACE FUNCTION makegood.explain(id text)
RETURNS TABLE (at timestamptz, part text, what text, business_key text, contents jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
END $$;

-- Who asks for a run without saying of which job is told the jobs.
CREATE OR REPLACE FUNCTION makegood.reconcile(
    job text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, dry_run boolean DEFAULT false
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
-- For ON CONFLICT, which cannot name a column in full.
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
