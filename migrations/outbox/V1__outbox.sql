-- The outbox: what a payment's transaction says, until Kafka has it. Append-only: nothing here is updated or
-- deleted row by row, so that somebody's long transaction cannot bloat it.

-- CACHE 1: the rows of one key get rising numbers in the order of the writers that lock what the key stands for.
CREATE SEQUENCE makegood.outbox_seq CACHE 1;

-- The columns that Debezium's outbox router knows keep its names: id, aggregatetype, aggregateid, type, payload.
CREATE TABLE makegood.outbox (
    seq bigint NOT NULL DEFAULT nextval('makegood.outbox_seq'),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    bytes integer NOT NULL,
    slot smallint NOT NULL,
    id uuid NOT NULL,
    aggregatetype text COLLATE "C" NOT NULL,
    aggregateid text COLLATE "C",
    type text NOT NULL,
    payload text NOT NULL,
    headers jsonb NOT NULL,
    -- Names a row to a subscriber of a publication FOR ALL TABLES, without which PostgreSQL refuses UPDATE and DELETE.
    PRIMARY KEY (seq, slot)
) PARTITION BY LIST (slot);
COMMENT ON TABLE makegood.outbox IS
    'Events for Kafka, written by makegood.publish in the transaction they speak of. Kept for a while after they were sent.';
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

CREATE TABLE makegood.outbox_0 PARTITION OF makegood.outbox FOR VALUES IN (0);
CREATE TABLE makegood.outbox_1 PARTITION OF makegood.outbox FOR VALUES IN (1);
CREATE TABLE makegood.outbox_2 PARTITION OF makegood.outbox FOR VALUES IN (2);
COMMENT ON TABLE makegood.outbox_0 IS 'The rows of the outbox from every third turn; emptied as a whole.';
COMMENT ON TABLE makegood.outbox_1 IS 'The rows of the outbox from every third turn; emptied as a whole.';
COMMENT ON TABLE makegood.outbox_2 IS 'The rows of the outbox from every third turn; emptied as a whole.';

-- What a snapshot has not seen lies in two ranges of this index, wherever in the table it is.
CREATE INDEX outbox_xid ON makegood.outbox (xid, seq);
CREATE INDEX outbox_id ON makegood.outbox (id);
CREATE INDEX outbox_key ON makegood.outbox (aggregateid);

-- Turn n fills table n % 3. The next turn begins with emptying its table, in one transaction.
CREATE TABLE makegood.outbox_turns (
    turn bigint PRIMARY KEY,
    began_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE makegood.outbox_turns IS 'Which of the outbox''s tables is filled: that of the newest turn, modulo three.';
INSERT INTO makegood.outbox_turns (turn) VALUES (0);

CREATE TABLE makegood.outbox_steps (
    shard smallint NOT NULL,
    step bigint NOT NULL,
    shards smallint NOT NULL,
    epoch bigint NOT NULL,
    from_snapshot pg_snapshot NOT NULL,
    to_snapshot pg_snapshot NOT NULL,
    last_seq bigint NOT NULL,
    published bigint NOT NULL,
    top_seq bigint NOT NULL DEFAULT 0,
    holder uuid,
    host text,
    pid integer,
    lease_until timestamptz NOT NULL,
    sleeps_until timestamptz,
    in_flight integer NOT NULL DEFAULT 0,
    reason text,
    advice text,
    remark text,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (shard, step)
);
COMMENT ON TABLE makegood.outbox_steps IS
    'The relay''s cursor and lease, one row a step; the newest counts, and its number is the compare-and-set. Old ones are trimmed.';
COMMENT ON COLUMN makegood.outbox_steps.top_seq IS
    'The highest number of a row that was read so far; new ones are higher, whatever becomes of the sequence.';
COMMENT ON COLUMN makegood.outbox_steps.from_snapshot IS 'All rows that it sees are with Kafka or parked.';
COMMENT ON COLUMN makegood.outbox_steps.to_snapshot IS 'Of the rows that it sees beyond those, the ones up to last_seq are too.';

-- Before any relay ran, everything is still to be sent; no row is older than the schema.
INSERT INTO makegood.outbox_steps
    (shard, step, shards, epoch, from_snapshot, to_snapshot, last_seq, published, lease_until)
VALUES (0, 0, 1, 0, '3:3:', '3:3:', 0, 0, '-infinity');

-- Rows that do not go now: those that Kafka refused for good and the later rows of their keys, and all rows of a topic
-- that takes nothing. In the order they have to go.
CREATE TABLE makegood.outbox_parked (
    seq bigint PRIMARY KEY,
    created_at timestamptz NOT NULL,
    bytes integer NOT NULL,
    by_topic boolean NOT NULL DEFAULT false,
    id uuid NOT NULL,
    aggregatetype text COLLATE "C" NOT NULL,
    aggregateid text COLLATE "C",
    type text NOT NULL,
    payload text NOT NULL,
    headers jsonb NOT NULL,
    reason text,
    advice text,
    parked_at timestamptz NOT NULL DEFAULT now(),
    retry_at timestamptz
);
COMMENT ON TABLE makegood.outbox_parked IS
    'Rows parked: with a reason if Kafka refused them or their topic, without one if they wait behind such a row of their key.';
COMMENT ON COLUMN makegood.outbox_parked.by_topic IS
    'It is the topic that takes nothing: the relay tries it again by itself, and sends the row as soon as it can.';
CREATE INDEX outbox_parked_key ON makegood.outbox_parked (aggregateid, aggregatetype, seq) WHERE NOT by_topic;
CREATE INDEX outbox_parked_topic_key ON makegood.outbox_parked (aggregateid, aggregatetype, seq) WHERE by_topic;
CREATE INDEX outbox_parked_topic ON makegood.outbox_parked (aggregatetype, seq) WHERE by_topic;
CREATE INDEX outbox_parked_retry ON makegood.outbox_parked (seq) WHERE retry_at IS NOT NULL;
CREATE INDEX outbox_parked_id ON makegood.outbox_parked (id);

-- What a person gave up, with its contents. (id, seq): numbers of its own may be used again, see outbox_number.
CREATE TABLE makegood.outbox_discarded (
    id uuid NOT NULL,
    seq bigint NOT NULL,
    created_at timestamptz NOT NULL,
    aggregatetype text COLLATE "C" NOT NULL,
    aggregateid text COLLATE "C",
    type text NOT NULL,
    payload text NOT NULL,
    headers jsonb NOT NULL,
    reason text,
    discarded_at timestamptz NOT NULL DEFAULT now(),
    discarded_by text NOT NULL DEFAULT session_user,
    why text NOT NULL,
    PRIMARY KEY (id, seq)
);
COMMENT ON TABLE makegood.outbox_discarded IS 'Events that a person gave up: Kafka never got them. Kept for the record.';
