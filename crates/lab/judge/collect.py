"""Copies what a round left in PostgreSQL and in Kafka into its folder, for judge.py. Shares no code with makegood."""

import sys
import time

import psycopg
from confluent_kafka import Consumer, TopicPartition

import evidence

TABLES = {
    "payments": "SELECT id::text, student_id::text, course_id::text, amount::text, currency, status FROM payments",
    "purchases": "SELECT payment_id::text, student_id::text, course_id::text, amount::text, currency, event_id::text"
    " FROM student_course_purchases",
    "inbox": "SELECT event_id::text, partition, \"offset\", outcome, business_key, origin, reused_id::text"
    " FROM makegood.inbox",
    "quarantine": "SELECT id, topic_id::text, partition, \"offset\", business_key, encode(key, 'hex') AS key,"
    " encode(value, 'hex') AS value, (SELECT json_agg(encode(n, 'hex')) FROM unnest(header_names) n) AS names,"
    " (SELECT json_agg(encode(v, 'hex')) FROM unnest(header_values) v) AS header_values,"
    " event_id::text, reason, sqlstate, suspect, judged_at IS NOT NULL AS judged,"
    " resolved_at IS NOT NULL AS resolved, resolution FROM makegood.quarantine",
    "positions": "SELECT DISTINCT ON (topic_id, partition) topic_id::text, partition, next_offset, written_at::text"
    " FROM makegood.positions ORDER BY topic_id, partition, step DESC",
    "gaps": "SELECT topic_id::text, partition, from_offset, to_offset, reason, covered_at IS NOT NULL AS covered"
    " FROM makegood.gaps",
    "unsent": "SELECT event_id::text, reason FROM makegood.outbox_unsent()",
    "idle": "SELECT pid, state, application_name, extract(epoch FROM now() - xact_start)::float8 AS age FROM pg_stat_activity"
    " WHERE application_name LIKE 'makegood%' AND xact_start IS NOT NULL",
}
# What a dry run must leave alone. Of records that were put away only which there are: they are tried again meanwhile.
COUNTED = {
    "payments": "*", "student_course_purchases": "*", "makegood.inbox": "*", "makegood.quarantine": "id, value",
    "makegood.findings": "id", "makegood.outbox": "*", "makegood.gaps": "id",
}


def rows(cursor, sql):
    cursor.execute(sql)
    names = [column.name for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor.fetchall()]


def tables(url):
    with psycopg.connect(url, connect_timeout=10) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        cursor = connection.cursor()
        return {name: rows(cursor, sql) for name, sql in TABLES.items()}


def fingerprint(connection):
    found = {}
    for table, columns in COUNTED.items():
        sql = ("SELECT count(*), md5(string_agg(md5(t::text), '' ORDER BY t::text))"
               f" FROM (SELECT {columns} FROM {table}) t")
        found[table] = connection.execute(sql).fetchone()
    return found


def dry_run(url):
    """Asks for a dry run and waits for it: whether it ended, and which tables it changed."""
    with psycopg.connect(url, connect_timeout=10, autocommit=True) as connection:
        before = fingerprint(connection)
        run = connection.execute("SELECT makegood.reconcile(dry_run => true)").fetchone()[0]
        deadline = time.time() + 30
        state = None
        while time.time() < deadline:
            found = connection.execute("SELECT state, missing FROM makegood.reconcile_runs WHERE run = %s", (run,))
            state, missing = found.fetchone()
            if state in ("done", "failed"):
                break
            time.sleep(0.1)
        after = fingerprint(connection)
        changed = [table for table in COUNTED if before[table] != after[table]]
        return {"state": state, "missing": missing, "changed": changed}


def topic(environment):
    """Every committed record of the topic, partition by partition, and where each log begins and ends."""
    consumer = Consumer({
        "bootstrap.servers": environment["bootstrap"], "group.id": "judge", "enable.auto.commit": False,
        "auto.offset.reset": "earliest", "enable.partition.eof": True, "isolation.level": "read_committed",
        "fetch.message.max.bytes": 5000000,
    })
    name = environment["topic"]
    partitions = sorted(consumer.list_topics(name, timeout=20).topics[name].partitions)
    ends, records = {}, []
    for partition in partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=20)
        ends[partition] = [low, high]
        consumer.assign([TopicPartition(name, partition, low)])
        deadline = time.time() + 60
        while time.time() < deadline:
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error():
                if message.error().name() == "_PARTITION_EOF":
                    break
                raise RuntimeError(str(message.error()))
            value = message.value()
            records.append({
                "partition": partition, "offset": message.offset(),
                "key": message.key().hex() if message.key() is not None else None,
                "value": value.hex() if value is not None else None,
                "headers": [[n, v.hex() if v is not None else None] for n, v in message.headers() or []],
            })
        else:
            raise RuntimeError(f"partition {partition} could not be read to its end")
    consumer.close()
    return {"ends": ends, "records": records}


def main(folder):
    environment = evidence.environment(evidence.lines(folder, "ledger.jsonl"))
    evidence.write(folder, "dry_run.json", dry_run(environment["database"]))
    evidence.write(folder, "topic.json", topic(environment))
    evidence.write(folder, "tables.json", tables(environment["database"]))


if __name__ == "__main__":
    main(sys.argv[1])
