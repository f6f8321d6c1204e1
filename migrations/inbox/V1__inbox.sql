-- The inbox: which events were taken in and what came of them.

-- Texts in an index have the collation "C": in any other one an index is silently wrong once the operating
-- system sorts otherwise than when it was built (PostgreSQL docs, ALTER COLLATION, "Notes").
CREATE TABLE makegood.routes (
    id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    topic text NOT NULL,
    consumer_group text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- Since when it may apply records: its mapping fitted, and nobody had to be asked any more.
    begun_at timestamptz,
    -- Why its events are believed without a look at their payments, if they are.
    believes text
);
COMMENT ON TABLE makegood.routes IS 'One row a route; gives the tables below a short key.';

-- Fixed-width columns first: no padding, ten million rows notice.
CREATE TABLE makegood.inbox (
    event_id uuid NOT NULL,
    "offset" bigint,
    event_at timestamptz,
    applied_at timestamptz NOT NULL DEFAULT now(),
    partition integer,
    route_id smallint NOT NULL,
    digest bytea NOT NULL,
    outcome text COLLATE "C" NOT NULL CHECK (outcome IN ('applied', 'already', 'conflict', 'ignored')),
    -- Keys are looked up, never sorted for people: bytes compare several times faster.
    business_key text COLLATE "C",
    reused_id uuid,
    detail text,
    -- Null for an event from Kafka, as nearly all are: a null costs no byte.
    origin text CHECK (origin IN ('reconcile')),
    PRIMARY KEY (event_id, route_id)
);
COMMENT ON TABLE makegood.inbox IS
    'One row an event and route. Written in the transaction that made the purchase, never changed.';
CREATE INDEX inbox_applied_at ON makegood.inbox (applied_at);
CREATE INDEX inbox_business_key ON makegood.inbox (business_key);

-- Append-only: the newest step counts, and its primary key is the compare-and-set. A row updated in
-- place would grow a chain of dead versions for as long as any transaction holds xmin back.
CREATE TABLE makegood.positions (
    consumer_group text COLLATE "C" NOT NULL,
    topic_id uuid NOT NULL,
    partition integer NOT NULL,
    step bigint NOT NULL,
    topic text NOT NULL,
    next_offset bigint NOT NULL CHECK (next_offset >= 0),
    epoch bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('claim', 'batch')),
    why text,
    writer uuid NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    progress_at timestamptz,
    anchor_offset bigint,
    anchor_timestamp_ms bigint,
    anchor_digest bytea,
    -- What records came to, from the first step on, in the order of makegood.consumer_positions. One that is not there is 0.
    counts bigint[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (consumer_group, topic_id, partition, step)
);
COMMENT ON TABLE makegood.positions IS
    'Where each partition is: one row a step, the newest counts. Counters run from the first step on.';

CREATE TABLE makegood.gaps (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    route_id smallint NOT NULL REFERENCES makegood.routes,
    topic text NOT NULL,
    topic_id uuid NOT NULL,
    partition integer NOT NULL,
    from_offset bigint NOT NULL,
    to_offset bigint NOT NULL,
    reason text NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    covered_at timestamptz,
    covered_how text CHECK (covered_how IN ('sweep', 'dismissed')),
    covered_run bigint,
    covered_by text,
    note text,
    UNIQUE (route_id, topic_id, partition, from_offset, to_offset)
);
COMMENT ON TABLE makegood.gaps IS
    'Offsets that were never read: expired, before the first start, or skipped on purpose. Open until a sweep of the reconciler has looked at everything that was paid before the gap was found.';
CREATE INDEX gaps_uncovered ON makegood.gaps (route_id, found_at) WHERE covered_at IS NULL;

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
