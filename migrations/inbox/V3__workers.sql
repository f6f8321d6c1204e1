-- What the running daemons say of themselves, for status and dashboards.
CREATE TABLE makegood.workers (
    id uuid NOT NULL,
    route_id smallint NOT NULL REFERENCES makegood.routes,
    host text NOT NULL,
    pid integer NOT NULL,
    version text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL CHECK (state IN ('joining', 'running', 'stalled', 'held')),
    state_since timestamptz NOT NULL DEFAULT now(),
    reason text,
    advice text,
    partitions integer[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (id, route_id)
);
COMMENT ON TABLE makegood.workers IS 'One row a running daemon and route, refreshed every few seconds.';

CREATE TABLE makegood.watermarks (
    consumer_group text COLLATE "C" NOT NULL,
    topic_id uuid NOT NULL,
    partition integer NOT NULL,
    low bigint NOT NULL,
    high bigint NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    -- From here to the end there was nothing that a consumer is given, only the marks of transactions, say, or
    -- aborted records. A position there stays below the end for good, and no record waits. Null: not so, or not known.
    all_read_from bigint,
    PRIMARY KEY (consumer_group, topic_id, partition)
);
COMMENT ON TABLE makegood.watermarks IS 'Where each partition''s log began and ended when a daemon last looked.';

-- send-test: a marked record counts as a test only if it was registered here beforehand; anybody can
-- set a header, and a paid event must not be lost to one.
CREATE TABLE makegood.test_events (
    id uuid PRIMARY KEY,
    route_id smallint NOT NULL REFERENCES makegood.routes,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    outcome text,
    mapping_outcome text,
    detail text,
    partition integer,
    "offset" bigint
);
COMMENT ON TABLE makegood.test_events IS 'Records of makegood send-test: applied, rolled back, answered here.';
