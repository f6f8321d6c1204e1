"""Tests the judge: plants one fault after the other in what a good round left, and expects each to be named.

Faults of the tables are planted in copies of the real database and collected from there; those of what was seen, sent and
said are planted in copies of the round's files."""

import copy
import json
import os
import shutil
import sys
import tempfile

import psycopg

import collect
import evidence
import judge

ONE = "(SELECT payment_id FROM student_course_purchases WHERE event_id IS NOT NULL ORDER BY 1 LIMIT 1)"
# Name, the invariant that must be named, and what is done to the database.
IN_TABLES = [
    ("a purchase is deleted", "I1", [f"DELETE FROM student_course_purchases WHERE payment_id = {ONE}"]),
    ("a purchase is doubled", "I2", [
        "ALTER TABLE student_course_purchases DROP CONSTRAINT student_course_purchases_payment_id_key",
        "INSERT INTO student_course_purchases (payment_id, student_id, course_id, amount, currency, event_id)"
        f" SELECT payment_id, student_id, course_id, amount, currency, event_id FROM student_course_purchases WHERE payment_id = {ONE}"]),
    ("a purchase of nobody", "I3", [
        "INSERT INTO student_course_purchases (payment_id, student_id, course_id, amount, currency)"
        " VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 1, 'INR')"]),
    ("a purchase is altered", "I4", [f"UPDATE student_course_purchases SET amount = amount + 0.01 WHERE payment_id = {ONE}"]),
    ("an inbox row is lost", "I5", [
        f"DELETE FROM makegood.inbox WHERE event_id = (SELECT event_id FROM student_course_purchases WHERE payment_id = {ONE})"]),
    ("a position is behind what it applied", "I5", [
        "UPDATE makegood.positions SET next_offset = 0"]),
    ("an offset is past a record that was never applied", "I1", [
        f"DELETE FROM makegood.inbox WHERE event_id = (SELECT event_id FROM student_course_purchases WHERE payment_id = {ONE})",
        f"DELETE FROM student_course_purchases WHERE payment_id = {ONE}"]),
    ("a later record of a payment left no trace", "I1", ["DELETE FROM makegood.inbox WHERE outcome = 'already'"]),
    ("an event was skipped and the reconciler hid it", "I1", [
        f"DELETE FROM makegood.inbox WHERE event_id = (SELECT event_id FROM student_course_purchases WHERE payment_id = {ONE})",
        f"UPDATE student_course_purchases SET event_id = NULL WHERE payment_id = {ONE}"]),
    ("a broken record is gone", "I11", ["DELETE FROM makegood.quarantine WHERE reason NOT IN ('no_payment', 'mismatch')"]),
    ("a broken record has other bytes", "I11", ["UPDATE makegood.quarantine SET value = 'x' WHERE value IS NOT NULL"]),
    ("a good record is put away", "I14", ["""
        INSERT INTO makegood.quarantine (route_id, topic, business_key, event_id, digest, reason, judged_at, value)
        SELECT 1, 'purchase-confirmed', id::text, gen_random_uuid(), 'x', 'refused', now(), convert_to(jsonb_build_object('data',
            jsonb_build_object('paymentId', id, 'amount', amount::text))::text, 'UTF8')
        FROM payments WHERE status = 'succeeded'"""]),
    ("a suspect is left", "I12", [
        "UPDATE makegood.quarantine SET suspect = 'unproven', judged_at = NULL WHERE resolved_at IS NULL"]),
    ("an event stays in the outbox", "I12", ["SELECT makegood.publish('purchase-confirmed', 'k', 'X', '{}')"]),
    ("a gap is open", "I12", [
        "INSERT INTO makegood.gaps (route_id, topic, topic_id, partition, from_offset, to_offset, reason)"
        " VALUES (1, 'purchase-confirmed', gen_random_uuid(), 0, 900000, 900001, 'expired')"]),
]


def in_tables(folder, scratch):
    """Each in a copy of the database."""
    url = evidence.environment(evidence.lines(folder, "ledger.jsonl"))["database"]
    server = url.rsplit("/", 1)[0]
    for number, (name, invariant, statements) in enumerate(IN_TABLES):
        database = f"planted_{number}"
        with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {database} TEMPLATE {url.rsplit('/', 1)[1]}")
        with psycopg.connect(f"{server}/{database}", autocommit=True) as connection:
            for statement in statements:
                if not connection.execute(statement).rowcount:
                    raise RuntimeError(f"nothing was planted: {name}")
        shutil.copytree(folder, scratch)
        evidence.write(scratch, "tables.json", collect.tables(f"{server}/{database}"))
        yield name, invariant
        with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {database}")


def append(folder, name, *lines):
    with open(os.path.join(folder, name), "a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def fault(name, truth, begin, end):
    return [{"act": "fault", "name": name, "phase": phase, "truth": truth, "t": t}
            for phase, t in (("begin", begin), ("end", end))]


def look(t, **seen):
    usual = {"t": t, "until": t + 0.1, "look": "daemon", "name": "first", "ready": 200, "ok": False, "verdict": "ok",
             "reasons": "", "leaks": []}
    return {**usual, **seen}


def truth(t, **seen):
    return {"t": t, "until": t, "look": "truth", "committed": None, "tables": seen}


def of_the_outbox(topic):
    return [r for r in topic["records"] if any(n in ("id", "ce_id") for n, _ in r["headers"])]


def drop_sent(topic):
    topic["records"].remove(of_the_outbox(topic)[0])


def add_unsent(topic):
    record = copy.deepcopy(of_the_outbox(topic)[0])
    value = json.loads(bytes.fromhex(record["value"]))
    value["eventId"] = "00000000-0000-4000-8000-000000000000"
    topic["records"].append({**record, "value": json.dumps(value).encode().hex()})


def reverse(topic):
    sent = of_the_outbox(topic)
    places = [(r["partition"], r["offset"]) for r in sent]
    for record, place in zip(sent, sorted(places, key=lambda p: (p[0], -p[1]))):
        record["partition"], record["offset"] = place


def alter_copy(topic):
    record = copy.deepcopy(of_the_outbox(topic)[0])
    topic["records"].append({**record, "value": record["value"] + "20", "offset": record["offset"] + 1})


IN_FILES = [
    ("health lies while nothing can be done", "I13", lambda f, t: (
        append(f, "ledger.jsonl", *fault("postgres-silent", "unable", t - 60, t - 30)),
        append(f, "samples.jsonl", look(t - 40)))),
    ("all is said to be well while nothing arrives", "I13", lambda f, t: (
        append(f, "ledger.jsonl", *fault("schema-drift", "stuck", t - 60, t - 30)),
        append(f, "samples.jsonl", look(t - 40, ready=503, ok=True)))),
    ("all is said to be well while a payment waits", "I13", lambda f, t: append(
        f, "samples.jsonl", truth(t, unpurchased=60), look(t, ok=True), truth(t + 1, unpurchased=61))),
    ("the daemon is not ready long after the last fault", "I13", lambda f, t: append(
        f, "ledger.jsonl", {"act": "quiet", "t": t - 100}, {"act": "judging", "t": t + 100}) or append(
        f, "samples.jsonl", look(t, ready=503))),
    ("Kafka knows a later offset", "I6", lambda f, t: append(f, "samples.jsonl", {
        **truth(t, positions={"x/0": 5}), "committed": {"0": 6}})),
    ("inbox and purchases part for a moment", "I5", lambda f, t: append(f, "samples.jsonl", truth(t, inbox_alone=1))),
    ("a committed event is not sent", "I7", drop_sent),
    ("an event that was not committed is sent", "I8", add_unsent),
    ("events change places", "I9", reverse),
    ("a copy has other bytes", "I10", alter_copy),
    ("a daemon takes too much memory", "I15", lambda f, t: append(
        f, "samples.jsonl", look(t, process={"rss": 900_000}))),
    ("a transaction is left open", "I15", lambda f, t: append(f, "samples.jsonl", truth(t, idle=31.0))),
    ("an answer shows a secret", "I16", lambda f, t: append(f, "samples.jsonl", look(t, leaks=["x"]))),
    ("a dry run changes a table", "I17", lambda f, t: evidence.write(
        f, "dry_run.json", {"state": "done", "missing": 0, "changed": ["payments"]})),
    ("a stop takes too long", "I18", lambda f, t: append(f, "ledger.jsonl", {
        "act": "stopped", "name": "first", "code": 0, "listens": True, "took": 31.0, "t": t})),
    ("a stop gives up", "I18", lambda f, t: append(f, "ledger.jsonl", {
        "act": "stopped", "name": "first", "code": 75, "listens": True, "took": 21.0, "t": t})),
    ("a daemon ends by itself", "I12", lambda f, t: append(f, "ledger.jsonl", {
        "act": "ended", "name": "first", "code": 101, "after": 1.0, "t": t})),
]
OF_THE_TOPIC = (drop_sent, add_unsent, reverse, alter_copy)


def in_files(folder, scratch):
    """Each in a copy of the round's files."""
    last = evidence.lines(folder, "ledger.jsonl")[-1]["t"]
    for name, invariant, plant in IN_FILES:
        shutil.copytree(folder, scratch)
        if plant in OF_THE_TOPIC:
            topic = evidence.read(folder, "topic.json")
            plant(topic)
            evidence.write(scratch, "topic.json", topic)
        else:
            plant(scratch, last)
        yield name, invariant


def main(folder):
    missed = 0
    with tempfile.TemporaryDirectory() as place:
        scratch = os.path.join(place, "planted")
        for plants in (in_tables, in_files):
            for name, invariant in plants(folder, scratch):
                found = judge.judge(scratch)["found"]
                shutil.rmtree(scratch)
                missed += invariant not in found
                print(f"{'named ' if invariant in found else 'MISSED'} {invariant:4} {name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
