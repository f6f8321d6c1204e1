-- The record of what people decide, the same text beside the payments and beside the purchases: only ever added to. Who did it
-- is the role that logged in, whatever SET ROLE or the caller says; the application's name and the address are beside it,
-- and the name is a mere claim.
CREATE TABLE IF NOT EXISTS makegood.audit_entries (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    role text NOT NULL,
    application text,
    address inet,
    action text COLLATE "C" NOT NULL,
    subject text COLLATE "C",
    reason text
);
COMMENT ON TABLE makegood.audit_entries IS
    'What people decided: one row a decision, written by triggers with the decision itself. Never changed or deleted.';
CREATE INDEX IF NOT EXISTS audit_entries_at ON makegood.audit_entries (at);

-- Whoever inserts, who did it and when is what the server knows.
CREATE OR REPLACE FUNCTION makegood.audit_stamp() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.at := clock_timestamp();
    NEW.role := session_user;
    NEW.application := nullif(current_setting('application_name'), '');
    NEW.address := inet_client_addr();
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION makegood.audit_keep() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'what people decided is only ever added to (%)', TG_TABLE_NAME USING ERRCODE = '42501';
END $$;
-- Notes a row: the action is the first argument or, if the row has a column of that name, what stands there; the second
-- and third name the columns with the subject and the reason.
CREATE OR REPLACE FUNCTION makegood.audit_note() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    given CONSTANT jsonb := to_jsonb(NEW);
BEGIN
    INSERT INTO makegood.audit_entries (role, action, subject, reason)
    VALUES (session_user, coalesce(given ->> TG_ARGV[0], TG_ARGV[0]), given ->> TG_ARGV[1], given ->> TG_ARGV[2]);
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION makegood.audit_stamp, makegood.audit_keep, makegood.audit_note FROM PUBLIC;
DROP TRIGGER IF EXISTS stamp ON makegood.audit_entries;
CREATE TRIGGER stamp BEFORE INSERT ON makegood.audit_entries FOR EACH ROW EXECUTE FUNCTION makegood.audit_stamp();
DROP TRIGGER IF EXISTS keep ON makegood.audit_entries;
CREATE TRIGGER keep BEFORE UPDATE OR DELETE ON makegood.audit_entries FOR EACH ROW EXECUTE FUNCTION makegood.audit_keep();
DROP TRIGGER IF EXISTS keep_all ON makegood.audit_entries;
CREATE TRIGGER keep_all BEFORE TRUNCATE ON makegood.audit_entries FOR EACH STATEMENT EXECUTE FUNCTION makegood.audit_keep();

CREATE OR REPLACE VIEW makegood.audit AS
SELECT at, role, application, address, action, subject, reason
FROM makegood.audit_entries;
COMMENT ON VIEW makegood.audit IS 'What people decided, when and as whom. Only ever added to.';
COMMENT ON COLUMN makegood.audit.at IS 'When.';
COMMENT ON COLUMN makegood.audit.role IS 'The role that logged in.';
COMMENT ON COLUMN makegood.audit.application IS 'What its application calls itself: a claim.';
COMMENT ON COLUMN makegood.audit.address IS 'Where it connected from, a pooler perhaps; null for a socket.';
COMMENT ON COLUMN makegood.audit.action IS
    'reconcile, approve, dismiss, dismiss_gap, replay, discard, accept, offsets_reset, outbox_discard, outbox_topic, publisher, four_eyes, or ask and agree where a decision takes two roles.';
COMMENT ON COLUMN makegood.audit.subject IS
    'The run, finding, gap or record, by its number; the group; the event; the role that may publish.';
COMMENT ON COLUMN makegood.audit.reason IS 'Why, or what exactly, if that was said.';

CREATE FUNCTION makegood.outbox_discard_stamp() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.discarded_by := session_user;
    RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION makegood.outbox_discard_stamp FROM PUBLIC;
CREATE TRIGGER stamp BEFORE INSERT ON makegood.outbox_discarded
    FOR EACH ROW EXECUTE FUNCTION makegood.outbox_discard_stamp();
CREATE TRIGGER audit AFTER INSERT ON makegood.outbox_discarded
    FOR EACH ROW EXECUTE FUNCTION makegood.audit_note('outbox_discard', 'id', 'why');
CREATE TRIGGER audit AFTER UPDATE OF aggregatetype ON makegood.outbox_parked
    FOR EACH ROW WHEN (NEW.aggregatetype IS DISTINCT FROM OLD.aggregatetype)
    EXECUTE FUNCTION makegood.audit_note('outbox_topic', 'id', 'aggregatetype');
