-- The outbox for people and dashboards, without contents.

-- The newest step of each shard in use. A lease longer than there are (LEASE, in the relay) was written by a clock that
-- was ahead. A step that this server cannot have written came with a dump or a copy: the row carries the number of the
-- transaction that wrote it, which is then not the one that put it here, or is one that this server has yet to reach.
CREATE VIEW makegood.outbox_cursor AS
SELECT n.shard, n.step, n.shards, n.epoch, n.from_snapshot, n.to_snapshot, n.last_seq, n.published, n.top_seq, n.holder, n.host, n.pid,
       n.lease_until, n.sleeps_until, n.in_flight, n.reason, n.advice, n.remark, n.xid, n.written_at,
       n.lease_until > clock_timestamp() AND n.lease_until <= clock_timestamp() + interval '6 seconds' AS leased,
       n.row_xid <> n.xid::text::bigint % 4294967296
           OR n.xid >= pg_snapshot_xmax(pg_current_snapshot())
           OR pg_snapshot_xmax(n.from_snapshot) > pg_snapshot_xmax(pg_current_snapshot())
           OR pg_snapshot_xmax(n.to_snapshot) > pg_snapshot_xmax(pg_current_snapshot()) AS is_foreign
FROM generate_series(0, 7) s (shard)
CROSS JOIN LATERAL (
    SELECT p.*, p.xmin::text::bigint AS row_xid
    FROM makegood.outbox_steps p
    WHERE p.shard = s.shard
    ORDER BY p.step DESC
    LIMIT 1
) n
WHERE n.shard < n.shards;
COMMENT ON VIEW makegood.outbox_cursor IS 'The newest step of each shard: how far the relay is, and who it is.';
COMMENT ON COLUMN makegood.outbox_cursor.shard IS 'The shard.';
COMMENT ON COLUMN makegood.outbox_cursor.step IS 'Counts the steps of the shard; the next one must be one more.';
COMMENT ON COLUMN makegood.outbox_cursor.shards IS 'How many shards there are.';
COMMENT ON COLUMN makegood.outbox_cursor.epoch IS 'Counts the claims of the shard; 0 before the first.';
COMMENT ON COLUMN makegood.outbox_cursor.from_snapshot IS 'All rows that it sees are with Kafka or parked.';
COMMENT ON COLUMN makegood.outbox_cursor.to_snapshot IS 'Of the rows that it sees beyond those, the ones up to last_seq are too.';
COMMENT ON COLUMN makegood.outbox_cursor.last_seq IS 'See to_snapshot.';
COMMENT ON COLUMN makegood.outbox_cursor.published IS 'Events of the shard acknowledged by Kafka so far.';
COMMENT ON COLUMN makegood.outbox_cursor.top_seq IS 'The highest number of a row that was read so far.';
COMMENT ON COLUMN makegood.outbox_cursor.holder IS 'The daemon that has the shard, a number of its own; null for nobody.';
COMMENT ON COLUMN makegood.outbox_cursor.host IS 'The machine it runs on.';
COMMENT ON COLUMN makegood.outbox_cursor.pid IS 'Its process there.';
COMMENT ON COLUMN makegood.outbox_cursor.lease_until IS 'Until then the shard is its own, if it says nothing more.';
COMMENT ON COLUMN makegood.outbox_cursor.sleeps_until IS 'Until then a publisher wakes it; null if it is awake.';
COMMENT ON COLUMN makegood.outbox_cursor.in_flight IS 'Events handed to Kafka and not acknowledged.';
COMMENT ON COLUMN makegood.outbox_cursor.reason IS 'Why nothing is sent; null if all is well.';
COMMENT ON COLUMN makegood.outbox_cursor.advice IS 'What to do about it.';
COMMENT ON COLUMN makegood.outbox_cursor.remark IS 'What else a person should know; null if there is nothing.';
COMMENT ON COLUMN makegood.outbox_cursor.leased IS 'Whether the lease is in force.';
COMMENT ON COLUMN makegood.outbox_cursor.is_foreign IS
    'Whether this server cannot have written the step: it came with a dump or a copy. The next claim begins anew.';
COMMENT ON COLUMN makegood.outbox_cursor.xid IS 'The transaction that wrote it.';
COMMENT ON COLUMN makegood.outbox_cursor.written_at IS 'When it was written.';

-- A function for its settings: the two ranges of the index on xid are what keeps this cheap, whatever the statistics
-- say of a table that was loaded in one go.
CREATE FUNCTION makegood.outbox_unsent()
RETURNS TABLE (event_id uuid, topic text, key text, event_type text, bytes integer, created_at timestamptz, seq bigint,
               reason text, advice text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
    SELECT o.id, o.aggregatetype, o.aggregateid, o.type, o.bytes, o.created_at, o.seq, NULL, NULL
    FROM makegood.outbox_cursor c
    CROSS JOIN LATERAL (
        SELECT late.*
        FROM makegood.outbox late
        WHERE late.xid = ANY (ARRAY(SELECT pg_snapshot_xip(c.from_snapshot)))
        UNION ALL
        SELECT new.*
        FROM makegood.outbox new
        WHERE new.xid >= pg_snapshot_xmax(c.from_snapshot)
    ) o
    WHERE makegood.outbox_shard(o.aggregateid, o.seq, c.shards) = c.shard
          AND NOT (o.seq <= c.last_seq AND pg_visible_in_snapshot(o.xid, c.to_snapshot))
    UNION ALL
    SELECT p.id, p.aggregatetype, p.aggregateid, p.type, p.bytes, p.created_at, p.seq, p.reason, p.advice
    FROM makegood.outbox_parked p
    WHERE p.by_topic
$$;
COMMENT ON FUNCTION makegood.outbox_unsent() IS
    'The rows that the relay''s cursor has not passed yet and those whose topic takes nothing, without their contents.';
-- Who may only publish has no business with other events. Readers of the views below need EXECUTE on it.
REVOKE ALL ON FUNCTION makegood.outbox_unsent() FROM PUBLIC;

CREATE FUNCTION makegood.outbox_life(payments text[], events uuid[])
RETURNS TABLE (at timestamptz, part text, what text, contents jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH unsent AS MATERIALIZED (
        SELECT seq FROM makegood.outbox_unsent()
    ), event AS (
        SELECT o.seq, o.created_at, o.id, o.aggregatetype, o.aggregateid, o.type,
               CASE WHEN EXISTS (SELECT FROM unsent u WHERE u.seq = o.seq) THEN 'pending' ELSE 'sent' END AS what
        FROM makegood.outbox o
        WHERE (o.id = ANY (outbox_life.events) OR o.aggregateid = ANY (outbox_life.payments))
              AND NOT EXISTS (SELECT FROM makegood.outbox_parked p WHERE p.seq = o.seq)
              AND NOT EXISTS (SELECT FROM makegood.outbox_discarded d WHERE d.id = o.id AND d.seq = o.seq)
        UNION ALL
        SELECT p.seq, p.created_at, p.id, p.aggregatetype, p.aggregateid, p.type,
               CASE WHEN p.by_topic THEN 'held' ELSE 'parked' END
        FROM makegood.outbox_parked p
        WHERE p.id = ANY (outbox_life.events) OR p.aggregateid = ANY (outbox_life.payments)
        UNION ALL
        SELECT d.seq, d.created_at, d.id, d.aggregatetype, d.aggregateid, d.type, 'discarded'
        FROM makegood.outbox_discarded d
        WHERE d.id = ANY (outbox_life.events) OR d.aggregateid = ANY (outbox_life.payments)
    )
    SELECT e.created_at, 'outbox', e.what,
           jsonb_build_object('eventId', e.id, 'topic', e.aggregatetype, 'key', e.aggregateid, 'type', e.type,
                              'reason', p.reason, 'parkedAt', p.parked_at, 'retryAt', p.retry_at) AS contents
    FROM event e
    LEFT JOIN makegood.outbox_parked p ON p.seq = e.seq
    ORDER BY e.seq
    LIMIT 50
$$;
COMMENT ON FUNCTION makegood.outbox_life(text[], uuid[]) IS
    'What the outbox knows of events by their ids, or of payments whose ids are the keys; makegood.explain asks it.';
REVOKE ALL ON FUNCTION makegood.outbox_life(text[], uuid[]) FROM PUBLIC;

CREATE VIEW makegood.outbox_pending AS
SELECT u.event_id, u.topic, u.key, u.event_type, u.bytes, u.created_at,
       greatest(clock_timestamp() - u.created_at, interval '0') AS age, u.seq, u.reason, u.advice
FROM makegood.outbox_unsent() u;
COMMENT ON VIEW makegood.outbox_pending IS
    'Events that Kafka has not acknowledged yet and that go by themselves. Rows parked are in outbox_parked_events instead.';
COMMENT ON COLUMN makegood.outbox_pending.event_id IS 'The event''s id.';
COMMENT ON COLUMN makegood.outbox_pending.topic IS 'The Kafka topic it goes to.';
COMMENT ON COLUMN makegood.outbox_pending.key IS 'Its Kafka key; null for none.';
COMMENT ON COLUMN makegood.outbox_pending.event_type IS 'The event''s type.';
COMMENT ON COLUMN makegood.outbox_pending.bytes IS 'The size of payload, key and headers in bytes.';
COMMENT ON COLUMN makegood.outbox_pending.created_at IS 'When it was published, by this database''s clock.';
COMMENT ON COLUMN makegood.outbox_pending.age IS 'How long ago that was.';
COMMENT ON COLUMN makegood.outbox_pending.seq IS 'Its number; the rows of one key are sent in this order.';
COMMENT ON COLUMN makegood.outbox_pending.reason IS 'Why its topic takes nothing; null if the event is on its way.';
COMMENT ON COLUMN makegood.outbox_pending.advice IS 'What to do about it.';

CREATE VIEW makegood.outbox_held_topics AS
SELECT p.aggregatetype AS topic, count(*) AS events, (array_agg(p.reason ORDER BY p.seq))[1] AS reason,
       (array_agg(p.advice ORDER BY p.seq))[1] AS advice, min(p.created_at) AS oldest_at, min(p.parked_at) AS held_since
FROM makegood.outbox_parked p
WHERE p.by_topic
GROUP BY p.aggregatetype;
COMMENT ON VIEW makegood.outbox_held_topics IS
    'Topics that take nothing, while others do. The relay tries each again by itself; its events wait in outbox_pending.';
COMMENT ON COLUMN makegood.outbox_held_topics.topic IS 'The Kafka topic.';
COMMENT ON COLUMN makegood.outbox_held_topics.events IS 'How many events wait for it.';
COMMENT ON COLUMN makegood.outbox_held_topics.reason IS 'Why, as Kafka or its client last said.';
COMMENT ON COLUMN makegood.outbox_held_topics.advice IS 'What to do about it.';
COMMENT ON COLUMN makegood.outbox_held_topics.oldest_at IS 'When the oldest of them was published.';
COMMENT ON COLUMN makegood.outbox_held_topics.held_since IS 'When the first of them was held.';

CREATE VIEW makegood.outbox_parked_events AS
SELECT p.id AS event_id, p.aggregatetype AS topic, p.aggregateid AS key, p.type AS event_type, p.reason, p.advice,
       p.created_at, p.parked_at, p.retry_at, p.seq
FROM makegood.outbox_parked p
WHERE NOT p.by_topic;
COMMENT ON VIEW makegood.outbox_parked_events IS
    'Events that Kafka refused for good, and those that wait behind one of their key. makegood outbox retry sends them.';
COMMENT ON COLUMN makegood.outbox_parked_events.event_id IS 'The event''s id.';
COMMENT ON COLUMN makegood.outbox_parked_events.topic IS 'The Kafka topic it goes to.';
COMMENT ON COLUMN makegood.outbox_parked_events.key IS 'Its Kafka key; null for none.';
COMMENT ON COLUMN makegood.outbox_parked_events.event_type IS 'The event''s type.';
COMMENT ON COLUMN makegood.outbox_parked_events.reason IS 'Why Kafka refused it; null if it waits behind an event of its key that was refused.';
COMMENT ON COLUMN makegood.outbox_parked_events.advice IS 'What to do about it.';
COMMENT ON COLUMN makegood.outbox_parked_events.created_at IS 'When it was published.';
COMMENT ON COLUMN makegood.outbox_parked_events.parked_at IS 'When it was parked.';
COMMENT ON COLUMN makegood.outbox_parked_events.retry_at IS 'When somebody asked to send it again; null if nobody did.';
COMMENT ON COLUMN makegood.outbox_parked_events.seq IS 'Its number; the rows of one key are sent in this order.';

-- A function for its rights: who reads the view need not see the counters.
CREATE FUNCTION makegood.outbox_publishers_used()
RETURNS TABLE (role text, topics text[], quota bigint, used bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT p.role, p.topics, p.quota,
           CASE WHEN p.quota IS NOT NULL THEN makegood.outbox_used(p.counter, p.marks, coalesce((SELECT max(t.turn) FROM makegood.outbox_turns t) % 3, 0)::integer) END
    FROM makegood.outbox_publishers p
$$;
REVOKE ALL ON FUNCTION makegood.outbox_publishers_used() FROM PUBLIC;

CREATE VIEW makegood.publishers AS
SELECT p.role, p.topics, p.quota, p.used
FROM makegood.outbox_publishers_used() p;
COMMENT ON VIEW makegood.publishers IS
    'Roles that may publish, to which topics, and how much. Where it is empty, whoever may call publish may name every topic.';
COMMENT ON COLUMN makegood.publishers.role IS 'The role; its members may do the same.';
COMMENT ON COLUMN makegood.publishers.topics IS 'The topics, or * for all.';
COMMENT ON COLUMN makegood.publishers.quota IS 'How many bytes it may have in the outbox; null for any number.';
COMMENT ON COLUMN makegood.publishers.used IS
    'How many it has, events that were sent and are still kept included, each rounded up to 1 KiB; null without a quota.';

-- Beside DESIGN's `status`, which is the inbox's: the outbox may live in another database.
-- The daemons' verdict on the outbox, as that on each route.
CREATE TABLE makegood.outbox_verdict (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    writer uuid NOT NULL,
    verdict text NOT NULL,
    rank smallint NOT NULL,
    sentence text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    judged_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE makegood.outbox_verdict IS 'One row: what a daemon last said of the outbox, shown by outbox_status while it is fresh.';

CREATE VIEW makegood.outbox_status AS
WITH waiting AS (
    SELECT count(*) AS pending, min(created_at) AS oldest_at, coalesce(sum(bytes), 0)::bigint AS pending_bytes
    FROM makegood.outbox_unsent()
), aside AS (
    SELECT count(*) FILTER (WHERE reason IS NOT NULL) AS refused, count(*) AS parked, min(parked_at) AS parked_since
    FROM makegood.outbox_parked
    WHERE NOT by_topic
), held AS (
    SELECT ARRAY(SELECT topic FROM makegood.outbox_held_topics ORDER BY topic) AS topics
), relay AS (
    SELECT count(*) FILTER (WHERE leased) AS relays, max(shards)::integer AS shards,
           sum(published)::bigint AS published,
           sum(in_flight) FILTER (WHERE leased) AS in_flight,
           -- A time that is yet to come was written by a clock that was ahead.
           max(written_at) FILTER (WHERE epoch > 0 AND written_at <= clock_timestamp()) AS seen_at,
           min(reason) FILTER (WHERE leased) AS reason, min(advice) FILTER (WHERE leased) AS advice,
           min(remark) FILTER (WHERE leased) AS remark
    FROM makegood.outbox_cursor
)
, said AS (
    -- These words are said only while every shard is relayed: later they are the last ones of a daemon that is gone.
    SELECT CASE WHEN r.relays < r.shards AND coalesce(v.verdict, 'ok') IN ('ok', 'behind', 'parked', 'overdue')
                THEN 'down' ELSE coalesce(v.verdict, 'unknown') END AS verdict,
           v.verdict AS word, v.sentence, v.since, v.judged_at
    FROM relay r
    LEFT JOIN makegood.outbox_verdict v ON v.judged_at BETWEEN now() - interval '30 seconds' AND now() + interval '30 seconds'
)
SELECT s.verdict, r.relays, r.shards, r.reason, r.advice, w.pending, w.pending_bytes, w.oldest_at,
       greatest(clock_timestamp() - w.oldest_at, interval '0') AS oldest_age, coalesce(r.in_flight, 0)::bigint AS in_flight,
       a.parked, a.refused, a.parked_since, r.published, r.seen_at, h.topics AS held_topics, r.remark,
       CASE WHEN s.verdict = s.word THEN s.sentence WHEN s.verdict = 'down' THEN 'down: no daemon relays the outbox'
            ELSE 'unknown: no daemon has judged it within thirty seconds' END AS sentence,
       CASE WHEN s.verdict = s.word THEN s.since END AS verdict_since, s.judged_at
FROM waiting w, aside a, relay r, held h, said s;
COMMENT ON VIEW makegood.outbox_status IS 'One row: do events get from the outbox to Kafka, and if not, why and what to do.';
COMMENT ON COLUMN makegood.outbox_status.verdict IS
    'What the daemons say, as the page, the commands, the metrics and the alerts do; ok and behind are fine. down: no daemon relays; unknown: none has judged it lately.';
COMMENT ON COLUMN makegood.outbox_status.sentence IS 'The verdict in a sentence, with the cause and what to do.';
COMMENT ON COLUMN makegood.outbox_status.verdict_since IS 'Since when the verdict is what it is.';
COMMENT ON COLUMN makegood.outbox_status.judged_at IS 'When a daemon last judged the outbox.';
COMMENT ON COLUMN makegood.outbox_status.relays IS 'Shards that a living daemon relays.';
COMMENT ON COLUMN makegood.outbox_status.shards IS 'Shards there are.';
COMMENT ON COLUMN makegood.outbox_status.reason IS 'Why nothing is sent.';
COMMENT ON COLUMN makegood.outbox_status.advice IS 'What to do about it.';
COMMENT ON COLUMN makegood.outbox_status.pending IS 'Events that Kafka has not acknowledged yet, without those parked.';
COMMENT ON COLUMN makegood.outbox_status.pending_bytes IS 'Their size in bytes.';
COMMENT ON COLUMN makegood.outbox_status.oldest_at IS 'When the oldest of them was published.';
COMMENT ON COLUMN makegood.outbox_status.oldest_age IS 'How long ago that was.';
COMMENT ON COLUMN makegood.outbox_status.in_flight IS 'Events handed to Kafka and not acknowledged when a relay last wrote.';
COMMENT ON COLUMN makegood.outbox_status.parked IS 'Events parked: refused by Kafka, or waiting behind one of their key.';
COMMENT ON COLUMN makegood.outbox_status.refused IS 'Those of them that Kafka refused.';
COMMENT ON COLUMN makegood.outbox_status.parked_since IS 'When the first of them was parked.';
COMMENT ON COLUMN makegood.outbox_status.published IS 'Events acknowledged by Kafka since the first step.';
COMMENT ON COLUMN makegood.outbox_status.seen_at IS 'When a relay last wrote; null if none ever did.';
COMMENT ON COLUMN makegood.outbox_status.held_topics IS 'Topics that take nothing while others do, see outbox_held_topics.';
COMMENT ON COLUMN makegood.outbox_status.remark IS 'Why published rows stay longer than they should; null if they do not.';
