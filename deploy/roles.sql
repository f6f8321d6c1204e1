-- Roles for makegood, each with what it needs and no more. Run it as a superuser, or as a role that has
-- CREATEROLE and owns the database and your tables; connected to the database with the purchases, and where the
-- outbox lives in another one ([outbox] database), to that one too: it grants there what is needed there.
--
--   psql -v ON_ERROR_STOP=1 -d shop -f deploy/roles.sql
--   PGOPTIONS='-c role=makegood_owner' makegood migrate up     # as a role that may become the owner
--   psql -v ON_ERROR_STOP=1 -d shop -f deploy/roles.sql        # again: now the views exist
--
-- Running it again changes nothing that is in place. Run it after every upgrade that brings migrations.

-- All or nothing. And only PostgreSQL's own functions: where everybody may create in a schema that is searched, as in
-- public before PostgreSQL 15, somebody's format(text, text) would be run with the rights of whoever runs this.
BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;

-- Owns the schema makegood; nobody logs in as it. Migrations run as this role.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'makegood_owner') THEN
        CREATE ROLE makegood_owner NOLOGIN;
    END IF;
    -- Who is no superuser must belong to it, to make its schema and to grant what is in there.
    IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
        AND NOT pg_catalog.pg_has_role(current_user, 'makegood_owner', 'USAGE') THEN
        GRANT makegood_owner TO CURRENT_USER;
    END IF;
END $$;

-- The daemon and the command line. Set a password (\password makegood_app) or use pg_hba.conf, and
-- configure migrate.mode = "check": this role may not change the schema.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'makegood_app') THEN
        CREATE ROLE makegood_app LOGIN;
    END IF;
END $$;

-- People who ask for reconciliation and decide on what it finds and on quarantined records:
-- GRANT makegood_ops TO alice. To have decisions take two roles: SELECT makegood.require_four_eyes(true);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'makegood_ops') THEN
        CREATE ROLE makegood_ops NOLOGIN;
    END IF;
END $$;

-- Dashboards: GRANT makegood_reader TO grafana; reads the views and nothing else.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'makegood_reader') THEN
        CREATE ROLE makegood_reader NOLOGIN;
    END IF;
END $$;

-- The payment service: GRANT makegood_publisher TO shop_payments; may call makegood.publish and nothing else. To which
-- topics, and how many bytes at most it may have in the outbox, is said once for it or for each service; from then on
-- nobody else may publish:
--   SELECT makegood.allow_publisher('makegood_publisher', '{purchase-confirmed}', 10737418240);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'makegood_publisher') THEN
        CREATE ROLE makegood_publisher NOLOGIN;
    END IF;
END $$;

CREATE SCHEMA IF NOT EXISTS makegood AUTHORIZATION makegood_owner;
-- A schema of that name that somebody else made, as a migration by another role does, is not trusted: what is in it would be
-- theirs. It is handed over where that is asked for, or where whoever runs this made it.
DO $$
DECLARE
    owner text := (SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'makegood');
    what text;
BEGIN
    IF pg_has_role('makegood_owner', owner, 'USAGE') THEN
        RETURN;
    END IF;
    IF owner <> current_user::regrole::text AND current_setting('makegood.adopt', true) IS DISTINCT FROM 'on' THEN
        RAISE EXCEPTION 'the schema makegood belongs to %, not to makegood_owner', owner
            USING HINT = 'If you know who made it, hand it over: sudo -u postgres env PGOPTIONS=''-c makegood.adopt=on'' '
                || format('psql -v ON_ERROR_STOP=1 -d %I < deploy/roles.sql', current_database())
                || E'\nElse look what is in it, and drop it.';
    END IF;
    ALTER SCHEMA makegood OWNER TO makegood_owner;
    -- A sequence that belongs to a column goes with its table.
    FOR what IN
        SELECT format('%s makegood.%I', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
                                                       WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.relname)
        FROM pg_class c
        WHERE c.relnamespace = 'makegood'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
              AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                                                            AND d.deptype IN ('a', 'i') AND c.relkind = 'S')
        UNION ALL
        SELECT format('ROUTINE %s', p.oid::regprocedure) FROM pg_proc p WHERE p.pronamespace = 'makegood'::regnamespace
        UNION ALL
        SELECT format('TYPE makegood.%I', t.typname) FROM pg_type t
        WHERE t.typnamespace = 'makegood'::regnamespace AND t.typtype IN ('d', 'e')
    LOOP
        EXECUTE format('ALTER %s OWNER TO makegood_owner', what);
    END LOOP;
END $$;
GRANT USAGE ON SCHEMA makegood TO makegood_app, makegood_ops, makegood_reader, makegood_publisher;

-- makegood's own tables: rows yes, definitions no. The default privileges cover later migrations.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA makegood TO makegood_app;
ALTER DEFAULT PRIVILEGES FOR ROLE makegood_owner IN SCHEMA makegood
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO makegood_app;

-- What people decided stays as it is: the daemon's role carries it out, and may neither invent nor change nor delete it.
-- Rows come by the functions below, and the audit by triggers, which run with the owner's rights.
DO $$ BEGIN
    IF to_regclass('makegood.decisions') IS NOT NULL THEN
        REVOKE INSERT, UPDATE, DELETE ON makegood.decisions, makegood.runs, makegood.findings, makegood.gaps FROM makegood_app;
        REVOKE UPDATE ON makegood.positions, makegood.inbox FROM makegood_app;
    END IF;
    -- The inbox's tables are emptied as a whole when their turn comes.
    IF to_regclass('makegood.inbox_turns') IS NOT NULL THEN
        REVOKE UPDATE, DELETE ON makegood.inbox, makegood.inbox_0, makegood.inbox_1, makegood.inbox_2 FROM makegood_app;
        GRANT TRUNCATE ON makegood.inbox_0, makegood.inbox_1, makegood.inbox_2 TO makegood_app;
        GRANT EXECUTE ON FUNCTION makegood.has_ended_in, makegood.has_ended, makegood.inbox_slot TO makegood_app;
    END IF;
    IF to_regclass('makegood.decisions') IS NOT NULL THEN
        GRANT INSERT (job, since, until, requested_by, requested_via, reason) ON makegood.runs TO makegood_app;
        GRANT INSERT (job, business_key, kind, paid_at, expected, found, run_id) ON makegood.findings TO makegood_app;
        GRANT INSERT (route_id, topic, topic_id, partition, from_offset, to_offset, reason) ON makegood.gaps TO makegood_app;
        GRANT UPDATE (started_at, finished_at, outcome, detail, held) ON makegood.decisions TO makegood_app;
        GRANT UPDATE (job, until, state, phase, place_at, place_key, compared, missing, made_good, gone, quarantined, conflicts,
                      sample, statuses, held, runner, started_at, moved_at, finished_at, error)
            ON makegood.runs TO makegood_app;
        GRANT UPDATE (paid_at, expected, found, detail, run_id, quarantine_id, resolved_at, resolution, resolved_run_id)
            ON makegood.findings TO makegood_app;
        GRANT UPDATE (to_offset, reason, found_at, covered_at, covered_how, covered_run, covered_by, note)
            ON makegood.gaps TO makegood_app;
        GRANT EXECUTE ON FUNCTION makegood.trim_runs TO makegood_app;
    END IF;
    IF to_regclass('makegood.asks') IS NOT NULL THEN
        REVOKE INSERT, UPDATE, DELETE ON makegood.asks, makegood.four_eyes FROM makegood_app;
    END IF;
    IF to_regclass('makegood.outbox_discarded') IS NOT NULL THEN
        REVOKE UPDATE, DELETE ON makegood.outbox_discarded FROM makegood_app;
    END IF;
    IF to_regclass('makegood.audit_entries') IS NOT NULL THEN
        REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON makegood.audit_entries FROM makegood_app;
    END IF;
END $$;

-- The views one by one: a grant on all tables would show the quarantine's contents to dashboards.
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT viewname FROM pg_catalog.pg_views WHERE schemaname = 'makegood' LOOP
        EXECUTE format('GRANT SELECT ON makegood.%I TO makegood_ops, makegood_reader', name);
    END LOOP;
END $$;

-- What people may do, they do by these functions, which run with the owner's rights and nothing of the
-- caller's. PUBLIC may not call them.
DO $$ BEGIN
    IF to_regprocedure('makegood.approve(bigint)') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION makegood.reconcile, makegood.approve, makegood.dismiss, makegood.explain,
            makegood.replay, makegood.discard, makegood.accept
            TO makegood_app, makegood_ops;
    END IF;
    IF to_regprocedure('makegood.dismiss_gap(bigint,text)') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION makegood.dismiss_gap TO makegood_app, makegood_ops;
    END IF;
END $$;

-- The outbox. It is filled through publish, which runs with the owner's rights, and emptied table by table by the
-- relay. Its views ask a function, and PostgreSQL looks whether their reader may run it.
DO $$ BEGIN
    IF to_regprocedure('makegood.outbox_unsent()') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION makegood.publish TO makegood_publisher;
        GRANT EXECUTE ON FUNCTION makegood.outbox_publishers_used() TO makegood_app, makegood_ops, makegood_reader;
        REVOKE INSERT, UPDATE, DELETE ON makegood.outbox_publishers FROM makegood_app;
        GRANT TRUNCATE ON makegood.outbox_0, makegood.outbox_1, makegood.outbox_2 TO makegood_app;
        GRANT EXECUTE ON FUNCTION makegood.outbox_unsent() TO makegood_app, makegood_ops, makegood_reader;
        GRANT EXECUTE ON FUNCTION makegood.outbox_life(text[], uuid[]) TO makegood_app, makegood_ops;
    END IF;
END $$;

-- Your tables, as the mapping in sql/purchases uses them: it reads payments, and reads and adds
-- purchases. It never updates or deletes, so it cannot be granted more by mistake. A mapping of your
-- own may need other tables, or a schema other than public.
DO $$ BEGIN
    IF to_regclass('public.payments') IS NULL THEN
        RAISE NOTICE 'there is no table public.payments here; if payments are here, grant SELECT on yours to makegood_app';
    ELSE
        -- The columns that missing.sql, conflicts.sql and lookup.sql name, and no others.
        GRANT SELECT (id, student_id, course_id, amount, currency, status, created_at, updated_at)
            ON public.payments TO makegood_app;
    END IF;
    IF to_regclass('public.student_course_purchases') IS NULL THEN
        RAISE NOTICE 'there is no table public.student_course_purchases here; if purchases are made here, grant SELECT, INSERT on yours to makegood_app';
    ELSE
        GRANT SELECT, INSERT ON public.student_course_purchases TO makegood_app;
    END IF;
END $$;
COMMIT;
