-- Four eyes, as an option of the schema's owner: what gives up a payment or has one made against makegood's own judgement is
-- done when a second role asks for the same, and who asked for a run does not approve it.
CREATE TABLE makegood.four_eyes (
    is_one boolean PRIMARY KEY DEFAULT true CHECK (is_one),
    required boolean NOT NULL
);
COMMENT ON TABLE makegood.four_eyes IS 'Whether a decision takes two roles; no row: one is enough. See makegood.require_four_eyes.';

CREATE TABLE makegood.asks (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    action text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    asked_by text COLLATE "C" NOT NULL DEFAULT session_user,
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    approved_by text COLLATE "C",
    approved_at timestamptz,
    CHECK (approved_by <> asked_by)
);
COMMENT ON TABLE makegood.asks IS 'What one role asked for while decisions take two, and which other one asked for the same.';
CREATE UNIQUE INDEX asks_open ON makegood.asks (action, subject) WHERE approved_at IS NULL;

CREATE VIEW makegood.asks_waiting AS
SELECT a.action, a.subject, a.asked_by, a.asked_at
FROM makegood.asks a
WHERE a.approved_at IS NULL AND a.asked_at BETWEEN now() - interval '1 day' AND now() + interval '1 minute';
COMMENT ON VIEW makegood.asks_waiting IS
    'What a second role must ask for too before it is done, where decisions take two. Void after a day.';
COMMENT ON COLUMN makegood.asks_waiting.action IS 'replay, discard, accept, dismiss or dismiss_gap: the function of that name.';
COMMENT ON COLUMN makegood.asks_waiting.subject IS 'Its first argument.';
COMMENT ON COLUMN makegood.asks_waiting.asked_by IS 'The role that asked, as it logged in.';
COMMENT ON COLUMN makegood.asks_waiting.asked_at IS 'When.';

-- Whether it may be done now: at once where one role is enough, else if another one has asked for the same within a day. If
-- not, it is noted that this one asks.
CREATE FUNCTION makegood.agreed(action text, subject text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
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
REVOKE ALL ON FUNCTION makegood.agreed FROM PUBLIC;

CREATE FUNCTION makegood.require_four_eyes(required boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO makegood.four_eyes (required) VALUES (require_four_eyes.required)
    ON CONFLICT (is_one) DO UPDATE SET required = excluded.required;
    INSERT INTO makegood.audit_entries (role, action, reason)
    VALUES (session_user, 'four_eyes', require_four_eyes.required::text);
END $$;
COMMENT ON FUNCTION makegood.require_four_eyes IS
    'For the schema''s owner: has replay, discard, accept, dismiss and dismiss_gap take two roles, and keeps who asked for a run from approving it.';
REVOKE ALL ON FUNCTION makegood.require_four_eyes FROM PUBLIC;
