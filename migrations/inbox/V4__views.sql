-- The public face: stable names, every column commented, safe to give to a dashboard's role.
CREATE VIEW makegood.inbox_events AS
SELECT r.name AS route, i.event_id, i.outcome, i.business_key, i.detail, i.partition, i."offset",
       i.event_at, i.applied_at, i.reused_id, coalesce(i.origin, 'kafka') AS origin
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
COMMENT ON COLUMN makegood.inbox_events.origin IS
    'kafka, or reconcile for an event that makegood made from a payment; that one has no partition and offset.';

CREATE VIEW makegood.consumer_positions AS
SELECT r.name AS route, p.consumer_group, p.topic, p.topic_id, p.partition, p.next_offset,
       w.low AS log_start, w.high AS log_end,
       CASE WHEN greatest(p.next_offset, w.low) >= w.all_read_from THEN 0
            ELSE greatest(w.high - greatest(p.next_offset, w.low), 0) END AS lag,
       -- A time that is still to come was written by a clock that was ahead, and is none.
       CASE WHEN w.seen_at <= now() + interval '30 seconds' THEN w.seen_at END AS log_seen_at,
       CASE WHEN p.progress_at <= now() + interval '30 seconds' THEN p.progress_at END AS progress_at, p.epoch, p.step,
       coalesce(p.counts[1], 0) AS applied, coalesce(p.counts[2], 0) AS already, coalesce(p.counts[3], 0) AS conflict, coalesce(p.counts[4], 0) AS ignored,
       coalesce(p.counts[5], 0) AS duplicate, coalesce(p.counts[6], 0) AS quarantined, coalesce(p.counts[7], 0) AS other_type,
       coalesce(p.counts[8], 0) AS tombstone, coalesce(p.counts[9], 0) AS id_reused, coalesce(p.counts[10], 0) AS tested,
       CASE WHEN p.written_at <= now() + interval '30 seconds' THEN p.written_at END AS written_at,
       -- A topic made anew under its old name has another id; what was written last belongs to the one of today.
       p.topic_id = first_value(p.topic_id) OVER (
           PARTITION BY p.consumer_group, p.topic
           ORDER BY p.written_at > now() + interval '30 seconds', p.written_at DESC
       )
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
COMMENT ON COLUMN makegood.consumer_positions.lag IS
    'Records waiting, when last looked; none where only what no consumer is given follows, as a transaction''s mark.';
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
COMMENT ON COLUMN makegood.consumer_positions.tombstone IS 'Records without a value in a topic that is compacted, since the first step.';
COMMENT ON COLUMN makegood.consumer_positions.id_reused IS 'Events whose id had been used with other bytes, since the first step.';
COMMENT ON COLUMN makegood.consumer_positions.tested IS 'Records of send-test, since the first step.';
COMMENT ON COLUMN makegood.consumer_positions.written_at IS 'When the newest step was written, a claim or a batch.';
COMMENT ON COLUMN makegood.consumer_positions.is_current IS
    'False for a topic id that another one has replaced under the same name; status leaves these out.';

CREATE VIEW makegood.quarantine_open AS
SELECT q.id, r.name AS route, q.reason, q.sqlstate, q.detail, q.topic, q.topic_id, q.partition, q."offset", q.event_id,
       coalesce(q.whole_bytes, octet_length(q.value)) AS value_bytes, cardinality(q.header_names) AS headers, q.record_at, q.quarantined_at, q.business_key,
       q.attempts
FROM makegood.quarantine q
JOIN makegood.routes r ON r.id = q.route_id
WHERE q.resolved_at IS NULL AND q.judged_at IS NOT NULL;
COMMENT ON VIEW makegood.quarantine_open IS
    'Records waiting for a decision, without their contents; makegood quarantine show ID has those.';
COMMENT ON COLUMN makegood.quarantine_open.id IS 'The number that quarantine show takes.';
COMMENT ON COLUMN makegood.quarantine_open.route IS 'The route that read the record.';
COMMENT ON COLUMN makegood.quarantine_open.reason IS 'Why it could not be applied, one word.';
COMMENT ON COLUMN makegood.quarantine_open.sqlstate IS 'PostgreSQL''s error code, if it refused the record.';
COMMENT ON COLUMN makegood.quarantine_open.detail IS 'The reason in a sentence, without the record''s contents.';
COMMENT ON COLUMN makegood.quarantine_open.topic IS 'The topic it was read from.';
COMMENT ON COLUMN makegood.quarantine_open.topic_id IS 'That topic''s id.';
COMMENT ON COLUMN makegood.quarantine_open.partition IS 'Its partition; null for an event that makegood made from a payment.';
COMMENT ON COLUMN makegood.quarantine_open."offset" IS 'Its offset.';
COMMENT ON COLUMN makegood.quarantine_open.event_id IS 'Its event id; derived from its place where it has none.';
COMMENT ON COLUMN makegood.quarantine_open.value_bytes IS 'The size of its value in bytes; null for none.';
COMMENT ON COLUMN makegood.quarantine_open.headers IS 'How many headers it has.';
COMMENT ON COLUMN makegood.quarantine_open.record_at IS 'The Kafka record''s timestamp.';
COMMENT ON COLUMN makegood.quarantine_open.quarantined_at IS 'When it was put here.';
COMMENT ON COLUMN makegood.quarantine_open.attempts IS 'How often it was replayed in vain.';
COMMENT ON COLUMN makegood.quarantine_open.business_key IS 'The payment, if the event could be read so far.';

CREATE VIEW makegood.suspects AS
SELECT q.id, r.name AS route, q.suspect AS state, q.sqlstate, q.detail, q.advice, q.business_key, q.event_id, q.topic, q.partition,
       q."offset", q.quarantined_at AS refused_at, q.fingerprint
FROM makegood.quarantine q
JOIN makegood.routes r ON r.id = q.route_id
WHERE q.resolved_at IS NULL AND q.judged_at IS NULL;
COMMENT ON VIEW makegood.suspects IS
    'Records that PostgreSQL refused while it is not known whether they or the world are at fault, and events whose payment may only be late. They are tried again without anybody''s help.';
COMMENT ON COLUMN makegood.suspects.id IS 'The number that quarantine show takes.';
COMMENT ON COLUMN makegood.suspects.route IS 'The route that read the record.';
COMMENT ON COLUMN makegood.suspects.state IS
    'unproven: nothing was applied by the same mapping since; proven: something was, so that one more refusal is the record''s own fault; unverified: its payment was not there, or said something else, less than a minute ago.';
COMMENT ON COLUMN makegood.suspects.sqlstate IS 'PostgreSQL''s error code.';
COMMENT ON COLUMN makegood.suspects.detail IS 'What PostgreSQL said, without the record''s contents.';
COMMENT ON COLUMN makegood.suspects.advice IS 'What would mend it, if the world is at fault.';
COMMENT ON COLUMN makegood.suspects.business_key IS 'The payment, if the event could be read so far.';
COMMENT ON COLUMN makegood.suspects.event_id IS 'Its event id; derived from its place where it has none.';
COMMENT ON COLUMN makegood.suspects.topic IS 'The topic it was read from.';
COMMENT ON COLUMN makegood.suspects.partition IS 'Its partition; null for an event that makegood made from a payment.';
COMMENT ON COLUMN makegood.suspects."offset" IS 'Its offset.';
COMMENT ON COLUMN makegood.suspects.refused_at IS 'When it was refused first.';
COMMENT ON COLUMN makegood.suspects.fingerprint IS 'The mapping that refused it last, as the log names it.';
