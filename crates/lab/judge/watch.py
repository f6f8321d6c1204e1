"""Looks at a round while it runs: what the daemons say of themselves, and what is true at that moment. Writes one JSON line
a look, for judge.py. Shares no code with makegood; ends when its standard input does."""

import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request

import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition

import evidence

PAUSE = 0.4


def get(port, path):
    """Status code and text, or nothing where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")
    except Exception:
        return None, ""


def process(pid):
    """What a process holds: KiB of memory, files, threads."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            status = dict(line.split(":", 1) for line in file)
        if "makegood" not in status["Name"]:
            return None
        return {"rss": int(status["VmRSS"].split()[0]), "threads": int(status["Threads"]),
                "files": len(os.listdir(f"/proc/{pid}/fd"))}
    except (OSError, KeyError, ValueError):
        return None


class Ledger:
    """The ledger as far as it was written."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "ledger.jsonl")
        self.read, self.rest = 0, ""
        self.environment, self.daemons, self.pids = {}, {}, {}

    def look(self):
        with open(self.path, encoding="utf-8") as file:
            file.seek(self.read)
            text = file.read()
            self.read = file.tell()
        text = self.rest + text
        *whole, self.rest = text.split("\n")
        for line in map(json.loads, whole):
            if line["act"] in ("environment", "moved"):
                self.environment.update(line)
            elif line["act"] == "daemon":
                self.daemons[line["name"]] = line["http"]
            elif line["act"] == "started":
                self.pids[line["name"]] = line["pid"]


class Truth:
    """What the tables and the group say, past every proxy."""

    # Times by the server's clock, both of them: what was paid and when is the payment service's own word.
    SQL = """
        SELECT (SELECT extract(epoch FROM clock_timestamp() - min(p.created_at))::float8 FROM payments p
                WHERE p.status = 'succeeded'
                  AND NOT EXISTS (SELECT FROM student_course_purchases s WHERE s.payment_id = p.id)) AS unpurchased,
               (SELECT count(*) FROM makegood.inbox i WHERE i.outcome = 'applied' AND NOT EXISTS
                  (SELECT FROM student_course_purchases s WHERE s.payment_id::text = i.business_key)) AS inbox_alone,
               (SELECT count(*) FROM student_course_purchases s WHERE s.event_id IS NOT NULL AND NOT EXISTS
                  (SELECT FROM makegood.inbox i WHERE i.event_id = s.event_id)) AS purchase_alone,
               (SELECT json_object_agg(topic_id::text || '/' || partition, next_offset) FROM
                  (SELECT DISTINCT ON (topic_id, partition) topic_id, partition, next_offset
                   FROM makegood.positions ORDER BY topic_id, partition, step DESC) p) AS positions,
               (SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'makegood%') AS sessions,
               (SELECT max(extract(epoch FROM clock_timestamp() - state_change))::float8 FROM pg_stat_activity
                WHERE application_name LIKE 'makegood%' AND state LIKE 'idle in transaction%') AS idle,
               (SELECT json_agg(s) FROM makegood.status s) AS view
    """

    def __init__(self):
        self.connection, self.consumer, self.committed = None, None, None

    def sql(self, url):
        try:
            if self.connection is None or self.connection.closed:
                # Text is what the tables hold; whoever renames a column in the middle gets no cached plan.
                self.connection = psycopg.connect(url, connect_timeout=2, autocommit=True, prepare_threshold=None,
                                                  options="-c statement_timeout=2000 -c lock_timeout=500")
            names = ("unpurchased", "inbox_alone", "purchase_alone", "positions", "sessions", "idle", "view")
            return dict(zip(names, self.connection.execute(self.SQL).fetchone()))
        except psycopg.Error as error:
            self.connection = None
            return {"error": str(error)[:200]}

    def offsets(self, environment):
        """What the group has committed in Kafka."""
        try:
            if self.consumer is None:
                self.consumer = Consumer({"bootstrap.servers": environment["bootstrap"], "group.id": environment["group"],
                                          "enable.auto.commit": False, "log_level": 0})
            asked = [TopicPartition(environment["topic"], p) for p in range(8)]
            found = self.consumer.committed(asked, timeout=1.5)
            return {p.partition: p.offset for p in found if p.offset >= 0 and p.error is None}
        except KafkaException:
            return None


def main(folder):
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    ledger, truth = Ledger(folder), Truth()
    with open(os.path.join(folder, "samples.jsonl"), "w", encoding="utf-8") as out:
        while not ended.wait(PAUSE):
            ledger.look()
            environment = ledger.environment
            secrets = [environment.get("secret"), environment.get("canary")]
            for name, port in list(ledger.daemons.items()):
                began = time.time()
                ready, reasons = get(port, "/readyz")
                code, status = get(port, "/api/v1/status")
                _, metrics = get(port, "/metrics")
                document = json.loads(status) if code == 200 and status else {}
                routes = document.get("routes") or [{}]
                sample = {
                    "t": began, "look": "daemon", "name": name, "ready": ready, "ok": document.get("ok"),
                    "reasons": reasons[:1500] if ready != 200 else "", "verdict": routes[0].get("verdict"),
                    "sentence": document.get("sentence"), "until": time.time(),
                    "leaks": [s for s in secrets if s and s in status + metrics + reasons],
                    "process": process(ledger.pids.get(name, 0)),
                }
                out.write(json.dumps(sample) + "\n")
            began = time.time()
            committed = truth.offsets(environment)
            sample = {"t": began, "look": "truth", "committed": committed, "tables": truth.sql(environment["database"]),
                      "until": time.time()}
            out.write(json.dumps(sample) + "\n")
            out.flush()


if __name__ == "__main__":
    main(sys.argv[1])
