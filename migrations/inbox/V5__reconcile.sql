-- The reconciler: what was asked of it, what it found, how far it has looked, and who runs it.
CREATE TABLE makegood.jobs (
    name text COLLATE "C" PRIMARY KEY,
    route_id smallint NOT NULL REFERENCES makegood.routes,
    cursor_at timestamptz,
    swept_at timestamptz,
    scheduled_at timestamptz,
    look_at timestamptz,
    looked_at timestamptz,
    notice text,
    statuses jsonb NOT NULL DEFAULT '{}',
    statuses_say text,
    lease_owner uuid,
    lease_epoch bigint NOT NULL DEFAULT 0,
    lease_until timestamptz
);
COMMENT ON TABLE makegood.jobs IS
    'One row a job: every payment that became paid before cursor_at has been compared, and before look_at been looked at. Its runner holds the lease. statuses_say is what is wrong with the words in the payments'' status.';

-- A run is asked for by its row alone; a daemon that is down finds it when it starts.
CREATE TABLE makegood.runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job text COLLATE "C",
    since timestamptz,
    until timestamptz,
    dry_run boolean NOT NULL DEFAULT false,
    requested_by text NOT NULL,
    requested_via text NOT NULL CHECK (requested_via IN ('sql', 'cli', 'signal', 'schedule')),
    requested_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'requested' CHECK (state IN ('requested', 'running', 'held', 'done', 'failed')),
    phase text NOT NULL DEFAULT 'compare' CHECK (phase IN ('compare', 'make_good', 'conflicts')),
    place_at timestamptz,
    place_key text,
    compared bigint NOT NULL DEFAULT 0,
    missing bigint NOT NULL DEFAULT 0,
    made_good bigint NOT NULL DEFAULT 0,
    gone bigint NOT NULL DEFAULT 0,
    quarantined bigint NOT NULL DEFAULT 0,
    conflicts bigint NOT NULL DEFAULT 0,
    sample jsonb,
    statuses jsonb NOT NULL DEFAULT '{}',
    held text,
    approved_by text,
    approved_at timestamptz,
    runner uuid,
    started_at timestamptz,
    moved_at timestamptz,
    finished_at timestamptz,
    error text,
    reason text
);
COMMENT ON TABLE makegood.runs IS
    'One row a run of the reconciler, from the request to its end. phase and place say where a new runner goes on.';
-- Two that ask for the same before it has begun get the same run.
CREATE UNIQUE INDEX runs_requested ON makegood.runs
    (coalesce(job, ''), coalesce(since, '-infinity'), coalesce(until, 'infinity'), dry_run)
    WHERE state = 'requested' AND approved_at IS NULL;
CREATE INDEX runs_open ON makegood.runs (id) WHERE state IN ('requested', 'running', 'held');

CREATE TABLE makegood.findings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job text COLLATE "C" NOT NULL,
    business_key text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    paid_at timestamptz,
    expected jsonb,
    found jsonb,
    detail text,
    run_id bigint,
    quarantine_id bigint,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    resolution text CHECK (resolution IN ('made_good', 'healed', 'dismissed', 'ignored')),
    resolved_run_id bigint,
    resolved_by text,
    note text
);
COMMENT ON TABLE makegood.findings IS
    'What the reconciler found: payments without a purchase, and contradictions for people. Holds personal data.';
-- A finding that persists is not repeated.
CREATE UNIQUE INDEX findings_open ON makegood.findings (job, kind, business_key) WHERE resolved_at IS NULL;
CREATE INDEX findings_open_missing ON makegood.findings (job, paid_at, business_key)
    WHERE resolved_at IS NULL AND kind = 'missing';
CREATE INDEX findings_business_key ON makegood.findings (business_key);
CREATE INDEX findings_run ON makegood.findings (run_id);
CREATE INDEX findings_resolved_run ON makegood.findings (resolved_run_id);

CREATE VIEW makegood.reconcile_runs AS
SELECT id AS run, job, requested_by, requested_via, requested_at, since, until, dry_run, state, phase, compared, missing,
       made_good, gone, quarantined, conflicts, held, approved_by, approved_at, place_at, started_at, moved_at, finished_at,
       error, sample, reason
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

CREATE VIEW makegood.reconcile_findings AS
SELECT f.id AS finding, f.job, f.business_key AS payment, f.kind, f.paid_at, f.expected, f.found,
       coalesce(f.detail, c.detail) AS detail, f.run_id AS run, f.first_seen_at, f.resolved_at, f.resolution,
       f.resolved_run_id AS resolved_run, f.resolved_by, f.note, coalesce(f.quarantine_id, c.id) AS quarantine_id
FROM makegood.findings f
LEFT JOIN LATERAL (
    -- A record that the mapping rejected may name its payment; whoever looks should be led to it.
    SELECT q.id, q.detail
    FROM makegood.quarantine q
    WHERE q.business_key = f.business_key AND q.resolved_at IS NULL AND f.resolved_at IS NULL AND f.kind = 'missing'
          AND q.route_id = (SELECT j.route_id FROM makegood.jobs j WHERE j.name = f.job)
    ORDER BY q.id DESC
    LIMIT 1
) c ON true;
COMMENT ON VIEW makegood.reconcile_findings IS 'What the reconciler found, open and resolved.';
COMMENT ON COLUMN makegood.reconcile_findings.finding IS 'Its number, as makegood.dismiss takes it.';
COMMENT ON COLUMN makegood.reconcile_findings.job IS 'The job that found it.';
COMMENT ON COLUMN makegood.reconcile_findings.payment IS 'The payment, by its business key.';
COMMENT ON COLUMN makegood.reconcile_findings.kind IS
    'missing: no purchase; gone: there was one, and it was removed; else what conflicts.sql calls it.';
COMMENT ON COLUMN makegood.reconcile_findings.paid_at IS 'When the payment became paid; for a contradiction when it was last changed.';
COMMENT ON COLUMN makegood.reconcile_findings.expected IS 'What the payment says.';
COMMENT ON COLUMN makegood.reconcile_findings.found IS 'What the purchase says.';
COMMENT ON COLUMN makegood.reconcile_findings.detail IS 'What there is to say about it.';
COMMENT ON COLUMN makegood.reconcile_findings.run IS 'The run that found it; null if the look at recent payments did.';
COMMENT ON COLUMN makegood.reconcile_findings.first_seen_at IS 'When it was found.';
COMMENT ON COLUMN makegood.reconcile_findings.resolved_at IS 'When it was resolved; null while it is open.';
COMMENT ON COLUMN makegood.reconcile_findings.resolution IS
    'made_good: by a run; healed: it was no longer so; ignored: the mapping ignores it; dismissed: by a person.';
COMMENT ON COLUMN makegood.reconcile_findings.resolved_run IS 'The run that resolved it, if one did.';
COMMENT ON COLUMN makegood.reconcile_findings.resolved_by IS 'The person who dismissed it.';
COMMENT ON COLUMN makegood.reconcile_findings.note IS 'What that person said.';
COMMENT ON COLUMN makegood.reconcile_findings.quarantine_id IS 'Where the payment''s event is that could not be applied, if one could not.';

CREATE VIEW makegood.paid_not_purchased AS
SELECT f.business_key AS payment, f.paid_at,
       now() - CASE WHEN isfinite(f.paid_at) AND f.paid_at <= now() THEN f.paid_at ELSE least(f.first_seen_at, now()) END AS age, j.looked_at AS as_of, f.kind,
       coalesce(f.detail, c.detail) AS detail, r.name AS route, f.job, f.id AS finding
FROM makegood.findings f
JOIN makegood.jobs j ON j.name = f.job
JOIN makegood.routes r ON r.id = j.route_id
LEFT JOIN LATERAL (
    SELECT q.detail
    FROM makegood.quarantine q
    WHERE q.business_key = f.business_key AND q.resolved_at IS NULL AND q.route_id = j.route_id
    ORDER BY q.id DESC
    LIMIT 1
) c ON true
WHERE f.resolved_at IS NULL AND f.kind IN ('missing', 'gone');
COMMENT ON VIEW makegood.paid_not_purchased IS
    'Payments that succeeded and have no purchase, as far as the reconciler has looked. Costs nothing to ask.';
COMMENT ON COLUMN makegood.paid_not_purchased.payment IS 'The payment, by its business key.';
COMMENT ON COLUMN makegood.paid_not_purchased.paid_at IS 'When it became paid.';
COMMENT ON COLUMN makegood.paid_not_purchased.age IS
    'How long ago that is; where it is no time of the past, how long ago the payment was found.';
COMMENT ON COLUMN makegood.paid_not_purchased.as_of IS 'When the reconciler last looked; old if no daemon runs.';
COMMENT ON COLUMN makegood.paid_not_purchased.kind IS 'missing, or gone if a purchase existed once and was removed.';
COMMENT ON COLUMN makegood.paid_not_purchased.detail IS 'Why it has not been made good, if that was tried, or why its event is in quarantine.';
COMMENT ON COLUMN makegood.paid_not_purchased.route IS 'The route that would make it good.';
COMMENT ON COLUMN makegood.paid_not_purchased.job IS 'The job that looks for it.';
COMMENT ON COLUMN makegood.paid_not_purchased.finding IS 'Its number among the findings.';

-- The daemons' verdict on each route, so that who reads SQL is told what everybody else is told. Of several daemons the
-- worst verdict counts.
CREATE TABLE makegood.verdicts (
    route_id smallint PRIMARY KEY REFERENCES makegood.routes,
    writer uuid NOT NULL,
    verdict text NOT NULL,
    rank smallint NOT NULL,
    sentence text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    judged_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE makegood.verdicts IS 'One row a route: what a daemon last said of it, shown by the view status while it is fresh.';

-- What a route leaves aside because it is of another type.
CREATE TABLE makegood.ignored_types (
    route_id smallint NOT NULL REFERENCES makegood.routes,
    event_type text COLLATE "C" NOT NULL,
    records bigint NOT NULL,
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (route_id, event_type)
);
COMMENT ON TABLE makegood.ignored_types IS 'About how many records of which other types a route has ignored.';

-- A daemon refreshes its row every three seconds; one not seen for thirty is taken for gone, and so is one that was
-- seen ahead of the clock. A verdict, which is written as often, is none any more after ten.
CREATE VIEW makegood.status AS
WITH position AS (
    SELECT route, count(*) AS partitions, sum(lag)::bigint AS lag, max(progress_at) AS progress_at,
           min(log_seen_at) AS log_seen_at, max(greatest(log_seen_at, written_at)) AS seen_at, sum(applied)::bigint AS applied, sum(already)::bigint AS already,
           sum(conflict)::bigint AS conflict, sum(ignored)::bigint AS ignored, sum(duplicate)::bigint AS duplicate,
           sum(quarantined)::bigint AS quarantined, sum(other_type)::bigint AS other_type
    FROM makegood.consumer_positions
    WHERE is_current
    GROUP BY route
), worker AS (
    SELECT route_id, count(*) FILTER (WHERE alive) AS workers,
           min(state_since) FILTER (WHERE kept) AS held_since, max(seen_at) FILTER (WHERE seen_at <= now() + interval '30 seconds') AS seen_at,
           coalesce(min(reason) FILTER (WHERE held), min(reason) FILTER (WHERE kept)) AS reason,
           coalesce(min(advice) FILTER (WHERE held), min(advice) FILTER (WHERE kept)) AS advice
    FROM (
        SELECT *, alive AND state = 'held' AS held, alive AND state IN ('held', 'stalled') AS kept
        FROM (SELECT *, seen_at BETWEEN now() - interval '30 seconds' AND now() + interval '30 seconds' AS alive FROM makegood.workers) w
    ) w
    GROUP BY route_id
), waiting AS (
    SELECT route_id, count(judged_at) AS quarantine_open, count(*) FILTER (WHERE refused) AS suspects,
           min(quarantined_at) FILTER (WHERE refused) AS suspects_since,
           (array_agg(detail ORDER BY id) FILTER (WHERE refused))[1] AS reason,
           (array_agg(advice ORDER BY id) FILTER (WHERE refused))[1] AS advice
    FROM (SELECT *, judged_at IS NULL AND suspect IS DISTINCT FROM 'unverified' AS refused FROM makegood.quarantine) q
    WHERE resolved_at IS NULL
    GROUP BY route_id
), unpurchased AS (
    SELECT route, count(*) AS payments, now() - max(age) AS paid_at
    FROM makegood.paid_not_purchased
    GROUP BY route
), job AS (
    SELECT route_id, CASE WHEN count(*) = count(looked_at) THEN min(looked_at) END AS counted_at
    FROM makegood.jobs
    GROUP BY route_id
), gap AS (
    SELECT route_id, count(*) AS gaps_open
    FROM makegood.gaps
    WHERE covered_at IS NULL
    GROUP BY route_id
)
SELECT r.name AS route,
       CASE WHEN w.workers > 0 AND heard.lately THEN coalesce(v.verdict, 'unknown')
            ELSE 'down' END AS verdict,
       coalesce(w.workers, 0) AS workers, coalesce(w.held_since, q.suspects_since) AS held_since,
       coalesce(w.reason, q.reason) AS reason, coalesce(w.advice, q.advice) AS advice, coalesce(p.partitions, 0) AS partitions,
       p.lag, p.progress_at, p.log_seen_at, coalesce(p.applied, 0) AS applied, coalesce(p.already, 0) AS already,
       coalesce(p.conflict, 0) AS conflict, coalesce(p.ignored, 0) AS ignored,
       coalesce(p.duplicate, 0) AS duplicate, coalesce(p.quarantined, 0) AS quarantined,
       coalesce(p.other_type, 0) AS other_type, coalesce(q.quarantine_open, 0) AS quarantine_open,
       r.topic, r.consumer_group, greatest(w.seen_at, p.seen_at) AS seen_at,
       coalesce(u.payments, 0) AS paid_not_purchased, u.paid_at AS oldest_not_purchased_at,
       coalesce(g.gaps_open, 0) AS gaps_open, coalesce(q.suspects, 0) AS suspects, r.believes,
       CASE WHEN w.workers > 0 AND heard.lately
            THEN coalesce(v.sentence, 'unknown: no daemon has judged it within ten seconds')
            ELSE 'down: no daemon has been heard of for eight seconds' END AS sentence,
       v.since AS verdict_since, v.judged_at, j.counted_at
FROM makegood.routes r
LEFT JOIN position p ON p.route = r.name
LEFT JOIN worker w ON w.route_id = r.id
LEFT JOIN waiting q ON q.route_id = r.id
LEFT JOIN unpurchased u ON u.route = r.name
LEFT JOIN gap g ON g.route_id = r.id
CROSS JOIN LATERAL (SELECT greatest(w.seen_at, p.seen_at) >= now() - interval '8 seconds' AS lately) heard
LEFT JOIN job j ON j.route_id = r.id
LEFT JOIN makegood.verdicts v
    ON v.route_id = r.id AND v.judged_at BETWEEN now() - interval '10 seconds' AND now() + interval '30 seconds';
COMMENT ON VIEW makegood.status IS 'One row a route: is it working, and if not, why and what to do. Never reads the inbox.';
COMMENT ON COLUMN makegood.status.route IS 'The route''s name.';
COMMENT ON COLUMN makegood.status.verdict IS
    'What the daemons say, as the page, the commands, the metrics and the alerts do; ok and behind are fine. down: no daemon runs, or none was heard of for eight seconds; unknown: none has judged it lately.';
COMMENT ON COLUMN makegood.status.sentence IS 'The same in a sentence, with the cause and what to do.';
COMMENT ON COLUMN makegood.status.verdict_since IS 'Since when the verdict is what it is.';
COMMENT ON COLUMN makegood.status.judged_at IS 'When a daemon last judged the route.';
COMMENT ON COLUMN makegood.status.workers IS 'Daemons seen within the last thirty seconds.';
COMMENT ON COLUMN makegood.status.held_since IS 'Since when the route is held or stalled, or the oldest suspect waits.';
COMMENT ON COLUMN makegood.status.reason IS 'Why it is held or stalled, or what the oldest suspect was refused for.';
COMMENT ON COLUMN makegood.status.advice IS 'What to do about it.';
COMMENT ON COLUMN makegood.status.partitions IS
    'Partitions with a position; of a topic made anew only those of its newest id count, here and below.';
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
COMMENT ON COLUMN makegood.status.suspects IS 'Refused records that wait for a verdict, as in the view suspects.';
COMMENT ON COLUMN makegood.status.believes IS
    'Why its events are believed without a look at their payments; null where a purchase is made only for a payment that is there, succeeded and says the same.';
COMMENT ON COLUMN makegood.status.topic IS 'The topic it reads.';
COMMENT ON COLUMN makegood.status.consumer_group IS 'The Kafka consumer group it reads in.';
COMMENT ON COLUMN makegood.status.seen_at IS 'When a daemon last wrote anything for this route.';
COMMENT ON COLUMN makegood.status.paid_not_purchased IS 'Payments that succeeded and have no purchase, as in paid_not_purchased.';
COMMENT ON COLUMN makegood.status.counted_at IS
    'When the reconciler last looked at recent payments, and so how old paid_not_purchased is; null if a job of the route never did, or it has none.';
COMMENT ON COLUMN makegood.status.oldest_not_purchased_at IS 'When the oldest of them became paid.';
COMMENT ON COLUMN makegood.status.gaps_open IS 'Ranges of offsets that were never read and no sweep has covered yet, as in gaps_open.';

-- The functions run as the schema's owner, for roles that may not touch the tables. A fixed search_path,
-- pg_temp last, and names in full keep a caller's objects out; nothing given to them becomes SQL.
CREATE FUNCTION makegood.reconcile(
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
    IF cardinality(known) > 0 AND (wanted IS NULL OR wanted <> ALL (known)) THEN
        RAISE EXCEPTION 'which job?' USING ERRCODE = '22023', HINT = format('the jobs are: %s', array_to_string(known, ', '));
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
COMMENT ON FUNCTION makegood.reconcile IS
    'Asks for a run of the reconciler and returns its number; reconcile_runs tells what becomes of it. Without since it sweeps from the first payment on, without until up to now less the grace.';

CREATE FUNCTION makegood.approve(run bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
COMMENT ON FUNCTION makegood.approve IS 'Lets a held run go on where it stopped, without the brake.';

CREATE FUNCTION makegood.dismiss(finding bigint, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
COMMENT ON FUNCTION makegood.dismiss IS
    'Closes a finding that a person has decided on. The same finding with the same values does not come back, and a missing purchase is not made.';

CREATE FUNCTION makegood.explain(id text)
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
COMMENT ON FUNCTION makegood.explain IS
    'What makegood''s own tables know of a payment, by its id or its event''s, in the order of time. makegood explain ID adds the host''s rows and the records in Kafka.';


REVOKE ALL ON FUNCTION makegood.reconcile, makegood.approve, makegood.dismiss, makegood.explain FROM PUBLIC;
