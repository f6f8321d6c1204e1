-- Broken records, byte for byte, so that each can be made good later.
CREATE TABLE makegood.quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    route_id smallint NOT NULL REFERENCES makegood.routes,
    topic text NOT NULL,
    -- Null for an event that makegood made from a payment; it has its business key instead.
    topic_id uuid,
    partition integer,
    "offset" bigint,
    business_key text COLLATE "C",
    record_at timestamptz,
    key bytea,
    value bytea,
    header_names bytea[] NOT NULL DEFAULT '{}',
    header_values bytea[] NOT NULL DEFAULT '{}',
    event_id uuid NOT NULL,
    digest bytea NOT NULL,
    reason text NOT NULL,
    sqlstate text,
    detail text,
    quarantined_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    UNIQUE (route_id, topic_id, partition, "offset"),
    CHECK (num_nonnulls(topic_id, partition, "offset") = 3 OR business_key IS NOT NULL)
);
COMMENT ON TABLE makegood.quarantine IS
    'Records that could not be applied, with their exact bytes. Holds personal data: readable by makegood only.';
-- The same event sent again is not a second case.
CREATE UNIQUE INDEX quarantine_open_event ON makegood.quarantine (route_id, event_id, digest)
    WHERE resolved_at IS NULL;
-- A payment that cannot be made good is one case, however often it is tried.
CREATE UNIQUE INDEX quarantine_open_payment ON makegood.quarantine (route_id, business_key)
    WHERE resolved_at IS NULL AND business_key IS NOT NULL;
