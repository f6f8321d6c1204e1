-- The public face: stable names, every column commented, safe to give to a dashboard's role.
CREATE VIEW makegood.inbox_events AS
SELECT r.name AS route, i.event_id, i.outcome, i.business_key, i.detail, i.partition, i."offset",
       i.event_at, i.applied_at, i.reused_id
FROM makegood.inbox i
JOIN makegood.routes r ON r.id = i.route_id;
COMMENT ON VIEW makegood.inbox_events IS
    'Events taken in. Look up by event_id, business_key or a range of applied_at: each has an index.';
COMMENT ON COLUMN makegood.inbox_events.route IS 'The route that took the event in.';
COMMENT ON COLUMN makegood.inbox_events.event_id IS 'The event''s id; derived where the producer gave none.';
COMMENT ON COLUMN makegood.inbox_events.outcome IS
    'applied: made the purchase; already: it existed; conflict: it exists and differs; ignored: nothing to do.';
COMMENT ON COLUMN makegood.inbox_events.business_key IS 'What the mapping names as the key, the payment id by default.';
COMMENT ON COLUMN makegood.inbox_events.detail IS 'What the mapping says about the outcome, if anything.';
COMMENT ON COLUMN makegood.inbox_events.partition IS 'The Kafka partition it came from.';
COMMENT ON COLUMN makegood.inbox_events."offset" IS 'Its offset in that partition.';
COMMENT ON COLUMN makegood.inbox_events.event_at IS 'The Kafka record''s timestamp.';
COMMENT ON COLUMN makegood.inbox_events.applied_at IS 'When the transaction that took it in began, by the database''s clock.';
COMMENT ON COLUMN makegood.inbox_events.reused_id IS
    'The id the producer sent, if it had been used before with other bytes; event_id is then derived.';

CREATE VIEW makegood.consumer_positions AS
SELECT r.name AS route, p.consumer_group, p.topic, p.topic_id, p.partition, p.next_offset,
       w.low AS log_start, w.high AS log_end, greatest(w.high - greatest(p.next_offset, w.low), 0) AS lag, w.seen_at AS log_seen_at,
       p.progress_at, p.epoch, p.step, p.applied, p.already, p.conflict, p.ignored, p.duplicate, p.quarantined,
       p.other_type, p.tombstone, p.id_reused, p.tested, p.written_at,
       -- A topic made anew under its old name has another id; what was written last belongs to the one of today.
       p.topic_id = first_value(p.topic_id) OVER (PARTITION BY p.consumer_group, p.topic ORDER BY p.written_at DESC)
           AS is_current
FROM (
    SELECT DISTINCT ON (consumer_group, topic_id, partition) *
    FROM makegood.positions
    ORDER BY consumer_group, topic_id, partition, step DESC
) p
LEFT JOIN makegood.routes r ON r.consumer_group = p.consumer_group AND r.topic = p.topic
LEFT JOIN makegood.watermarks w
    ON w.consumer_group = p.consumer_group AND w.topic_id = p.topic_id AND w.partition = p.partition;
COMMENT ON VIEW makegood.consumer_positions IS
    'Where each partition is. Reads only the position''s few newest steps, never the inbox.';
COMMENT ON COLUMN makegood.consumer_positions.route IS 'The route that reads this group and topic.';
COMMENT ON COLUMN makegood.consumer_positions.consumer_group IS 'The Kafka consumer group.';
COMMENT ON COLUMN makegood.consumer_positions.topic IS 'The topic''s name.';
COMMENT ON COLUMN makegood.consumer_positions.topic_id IS 'The topic''s id; another one means the topic was made anew.';
COMMENT ON COLUMN makegood.consumer_positions.partition IS 'The partition''s number.';
COMMENT ON COLUMN makegood.consumer_positions.next_offset IS 'The next offset to read; everything before it is done.';
COMMENT ON COLUMN makegood.consumer_positions.log_start IS 'The first offset still in the log when last looked.';
COMMENT ON COLUMN makegood.consumer_positions.log_end IS 'The offset the next record will get, when last looked.';
COMMENT ON COLUMN makegood.consumer_positions.lag IS 'Records waiting, when last looked.';
COMMENT ON COLUMN makegood.consumer_positions.log_seen_at IS 'When a daemon last looked at the log.';
COMMENT ON COLUMN makegood.consumer_positions.progress_at IS 'When this partition last moved on.';
COMMENT ON COLUMN makegood.consumer_positions.epoch IS 'Counts the claims of this partition; an owner of an older epoch cannot write.';
COMMENT ON COLUMN makegood.consumer_positions.step IS 'Counts the steps of this partition.';
COMMENT ON COLUMN makegood.consumer_positions.applied IS 'Events that made a purchase, since the first step.';
COMMENT ON COLUMN makegood.consumer_positions.already IS 'Events whose purchase existed, since the first step.';
COMMENT ON COLUMN makegood.consumer_positions.conflict IS 'Events whose purchase exists and differs, since the first step.';
COMMENT ON COLUMN makegood.consumer_positions.ignored IS 'Events the mapping had nothing to do for, since the first step.';
COMMENT ON COLUMN makegood.consumer_positions.duplicate IS 'Records of an event already in the inbox, since the first step.';
COMMENT ON COLUMN makegood.consumer_positions.quarantined IS 'Records put into quarantine, since the first step.';
COMMENT ON COLUMN makegood.consumer_positions.other_type IS 'Records of another event type, since the first step.';
COMMENT ON COLUMN makegood.consumer_positions.tombstone IS 'Records without a value, since the first step.';
COMMENT ON COLUMN makegood.consumer_positions.id_reused IS 'Events whose id had been used with other bytes, since the first step.';
COMMENT ON COLUMN makegood.consumer_positions.tested IS 'Records of send-test, since the first step.';
COMMENT ON COLUMN makegood.consumer_positions.written_at IS 'When the newest step was written, a claim or a batch.';
COMMENT ON COLUMN makegood.consumer_positions.is_current IS
    'False for a topic id that another one has replaced under the same name; status leaves these out.';

CREATE VIEW makegood.quarantine_open AS
SELECT q.id, r.name AS route, q.reason, q.sqlstate, q.detail, q.topic, q.topic_id, q.partition, q."offset", q.event_id,
       octet_length(q.value) AS value_bytes, cardinality(q.header_names) AS headers, q.record_at, q.quarantined_at
FROM makegood.quarantine q
JOIN makegood.routes r ON r.id = q.route_id
WHERE q.resolved_at IS NULL;
COMMENT ON VIEW makegood.quarantine_open IS
    'Records waiting for a decision, without their contents; makegood quarantine show ID has those.';
COMMENT ON COLUMN makegood.quarantine_open.id IS 'The number that quarantine show takes.';
COMMENT ON COLUMN makegood.quarantine_open.route IS 'The route that read the record.';
COMMENT ON COLUMN makegood.quarantine_open.reason IS 'Why it could not be applied, one word.';
COMMENT ON COLUMN makegood.quarantine_open.sqlstate IS 'PostgreSQL''s error code, if it refused the record.';
COMMENT ON COLUMN makegood.quarantine_open.detail IS 'The reason in a sentence, without the record''s contents.';
COMMENT ON COLUMN makegood.quarantine_open.topic IS 'The topic it was read from.';
COMMENT ON COLUMN makegood.quarantine_open.topic_id IS 'That topic''s id.';
COMMENT ON COLUMN makegood.quarantine_open.partition IS 'Its partition.';
COMMENT ON COLUMN makegood.quarantine_open."offset" IS 'Its offset.';
COMMENT ON COLUMN makegood.quarantine_open.event_id IS 'Its event id; derived from its place where it has none.';
COMMENT ON COLUMN makegood.quarantine_open.value_bytes IS 'The size of its value in bytes; null for none.';
COMMENT ON COLUMN makegood.quarantine_open.headers IS 'How many headers it has.';
COMMENT ON COLUMN makegood.quarantine_open.record_at IS 'The Kafka record''s timestamp.';
COMMENT ON COLUMN makegood.quarantine_open.quarantined_at IS 'When it was put here.';

-- A daemon refreshes its row every five seconds; one not seen for thirty is taken for gone.
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
    SELECT route_id, count(*) FILTER (WHERE alive) AS workers, count(*) FILTER (WHERE held) AS held,
           min(state_since) FILTER (WHERE held) AS held_since, max(seen_at) AS seen_at,
           min(reason) FILTER (WHERE held) AS reason, min(advice) FILTER (WHERE held) AS advice
    FROM (
        SELECT *, alive AND state = 'held' AS held
        FROM (SELECT *, seen_at > now() - interval '30 seconds' AS alive FROM makegood.workers) w
    ) w
    GROUP BY route_id
), waiting AS (
    SELECT route_id, count(*) AS quarantine_open
    FROM makegood.quarantine
    WHERE resolved_at IS NULL
    GROUP BY route_id
)
SELECT r.name AS route,
       CASE WHEN coalesce(w.workers, 0) = 0 THEN 'down' WHEN w.held > 0 THEN 'held' WHEN p.partitions IS NULL THEN 'joining'
            WHEN p.lag > 0 THEN 'behind' ELSE 'ok' END AS verdict,
       coalesce(w.workers, 0) AS workers, w.held_since, w.reason, w.advice, coalesce(p.partitions, 0) AS partitions,
       p.lag, p.progress_at, p.log_seen_at, coalesce(p.applied, 0) AS applied, coalesce(p.already, 0) AS already,
       coalesce(p.conflict, 0) AS conflict, coalesce(p.ignored, 0) AS ignored,
       coalesce(p.duplicate, 0) AS duplicate, coalesce(p.quarantined, 0) AS quarantined,
       coalesce(p.other_type, 0) AS other_type, coalesce(q.quarantine_open, 0) AS quarantine_open,
       r.topic, r.consumer_group, greatest(w.seen_at, p.seen_at) AS seen_at
FROM makegood.routes r
LEFT JOIN position p ON p.route = r.name
LEFT JOIN worker w ON w.route_id = r.id
LEFT JOIN waiting q ON q.route_id = r.id;
COMMENT ON VIEW makegood.status IS 'One row a route: is it working, and if not, why and what to do. Never reads the inbox.';
COMMENT ON COLUMN makegood.status.route IS 'The route''s name.';
COMMENT ON COLUMN makegood.status.verdict IS
    'ok: all done; behind: records wait; held: stopped on purpose, see reason; joining: no partition yet; down: no daemon runs.';
COMMENT ON COLUMN makegood.status.workers IS 'Daemons seen within the last thirty seconds.';
COMMENT ON COLUMN makegood.status.held_since IS 'Since when the route is held.';
COMMENT ON COLUMN makegood.status.reason IS 'Why it is held.';
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
COMMENT ON COLUMN makegood.status.topic IS 'The topic it reads.';
COMMENT ON COLUMN makegood.status.consumer_group IS 'The Kafka consumer group it reads in.';
COMMENT ON COLUMN makegood.status.seen_at IS 'When a daemon last wrote anything for this route.';
