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
    -- How long the value was, where only its beginning is kept; the digest is the whole one's.
    whole_bytes integer,
    header_names bytea[] NOT NULL DEFAULT '{}',
    header_values bytea[] NOT NULL DEFAULT '{}',
    event_id uuid NOT NULL,
    digest bytea NOT NULL,
    reason text NOT NULL,
    sqlstate text,
    detail text,
    advice text,
    -- Set while it is not known whether the record or the world is at fault. unproven: nothing was applied by
    -- the mapping that refused it since it did; proven: something was, so one more refusal is the record's own.
    -- unverified: its payment was not there, or said something else, and may only be late.
    suspect text COLLATE "C" CHECK (suspect IN ('unproven', 'proven', 'unverified')),
    -- The mapping that refused it last; null for what no mapping has seen.
    fingerprint text COLLATE "C",
    quarantined_at timestamptz NOT NULL DEFAULT now(),
    -- When it was first known to be the record's own fault; null for a suspect.
    judged_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    resolved_at timestamptz,
    resolution text CHECK (resolution IN ('replayed', 'made_good', 'discarded')),
    CHECK ((resolution IS NULL) = (resolved_at IS NULL)),
    -- A log that was cut off gives an offset again, to another record.
    UNIQUE (route_id, topic_id, partition, "offset", digest),
    CHECK (num_nonnulls(topic_id, partition, "offset") = 3 OR business_key IS NOT NULL)
);
COMMENT ON TABLE makegood.quarantine IS
    'Records that could not be applied, with their exact bytes. Holds personal data: readable by makegood only.';
-- The same event sent again is not a second case.
CREATE UNIQUE INDEX quarantine_open_event ON makegood.quarantine (event_id, digest, route_id)
    WHERE resolved_at IS NULL;
-- A payment that cannot be made good is one case, however often it is tried.
CREATE UNIQUE INDEX quarantine_open_payment ON makegood.quarantine (route_id, business_key)
    WHERE resolved_at IS NULL AND topic_id IS NULL;
-- The mapping may name the payment of a record that it rejects; several records may be about one. What goes through closes
-- the open cases of its payment.
CREATE INDEX quarantine_business_key ON makegood.quarantine (business_key) WHERE business_key IS NOT NULL;

-- What waits for a verdict, oldest first; nearly always empty.
CREATE INDEX quarantine_suspects ON makegood.quarantine (route_id, id) WHERE suspect IS NOT NULL AND resolved_at IS NULL;
-- Events that their payments do not bear out: counted before one more is taken in, and held against them again.
CREATE INDEX quarantine_doubted ON makegood.quarantine (route_id, id)
    WHERE reason IN ('no_payment', 'mismatch') AND resolved_at IS NULL;
-- What is tried again and counted, however much was dealt with before.
CREATE INDEX quarantine_open_cases ON makegood.quarantine (route_id, id) WHERE resolved_at IS NULL;

-- What people decided. A replay is a request first: the daemon carries it out, and one that is down finds
-- it when it starts. An acceptance lets refused records into quarantine without a proof.
CREATE TABLE makegood.decisions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('replay', 'discard', 'accept')),
    route_id smallint NOT NULL REFERENCES makegood.routes,
    quarantine_id bigint,
    decided_by text NOT NULL,
    decided_via text NOT NULL CHECK (decided_via IN ('sql', 'cli')),
    decided_at timestamptz NOT NULL DEFAULT now(),
    reason text,
    held text,
    started_at timestamptz,
    finished_at timestamptz,
    outcome text,
    detail text,
    CHECK ((kind = 'accept') = (quarantine_id IS NULL))
);
COMMENT ON TABLE makegood.decisions IS
    'One row a decision on quarantined records: who, when, why, and what came of it. Never deleted by makegood.';
-- Two who ask for the same replay get the same one.
CREATE UNIQUE INDEX decisions_open_replay ON makegood.decisions (quarantine_id)
    WHERE kind = 'replay' AND finished_at IS NULL;
CREATE UNIQUE INDEX decisions_open_accept ON makegood.decisions (route_id)
    WHERE kind = 'accept' AND finished_at IS NULL;
CREATE INDEX decisions_waiting ON makegood.decisions (route_id, id) WHERE finished_at IS NULL;
CREATE INDEX decisions_quarantine ON makegood.decisions (quarantine_id);
