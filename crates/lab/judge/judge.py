"""Judges a round by what lies in its folder alone: the ledger, the topic, the tables and what was seen while it ran.

Prints the invariants that do not hold, each by its name, and ends with 1 if there is one. Shares no code with makegood."""

import collections
import json
import sys

import evidence
from health import honest_health, resources

# How long after the last fault everything must be well, in seconds.
WELL_WITHIN = 75
# Faults after which the log is not the one that records were acknowledged in.
REMADE = {"topic-recreated", "unclean-election"}
SHORTENED = {"topic-recreated", "topic-cut", "unclean-election"}
# Faults by which Kafka's offsets are moved by hand, or belong to another log.
OFFSETS_MOVED = {"group-reset", "topic-recreated", "topic-cut", "unclean-election"}
# Faults after which the database lacks what it once acknowledged.
REWOUND = {"postgres-failover", "postgres-restored"}
# How a daemon may end by itself while a step of it was told to fail so: a process that is told to die does, and so
# does one that panics in a call from C.
ENDS = {"abort": {75, 134}, "panic": {75, 134}}
# And with which codes it may end when it is stopped.
STOPS = {"abort": {0, 134}, "panic": {0, 75, 101, 134}, "error": {0, 75}}
# Kinds of records that are nobody's purchase.
BAD = {"broken", "orphan", "lie"}


class Findings:
    """What does not hold, by invariant."""

    def __init__(self):
        self.found = collections.defaultdict(list)
        self.skipped = set()

    def add(self, invariant, sentence, examples=()):
        examples = list(examples)
        shown = f": {', '.join(map(str, examples[:3]))}" if examples else ""
        self.found[invariant].append(f"{sentence}{shown}")

    def unless(self, invariant, sentence, culprits):
        """Culprits make it a finding."""
        culprits = list(culprits)
        if culprits:
            self.add(invariant, f"{len(culprits)} {sentence}", culprits)


class Book:
    """The ledger, sorted."""

    def __init__(self, lines):
        self.lines = lines
        self.environment = evidence.environment(lines)
        self.payments, self.ends, self.sends, self.landed = {}, {}, {}, {}
        self.faults, self.struck = set(), collections.Counter()
        for line in lines:
            act, phase = line["act"], line.get("phase")
            if act == "pay" and phase == "intend":
                self.payments[line["payment"]] = line
            elif act == "pay":
                self.ends[line["payment"]] = phase
            elif act == "send" and phase == "intend":
                self.sends[line["id"]] = line
            elif act == "send":
                self.landed[line["id"]] = line
            elif act == "fault" and phase == "begin":
                self.faults.add(line["name"])
                self.struck[line["name"]] += 1

    def with_act(self, act):
        return [line for line in self.lines if line["act"] == act]


def event_of(value):
    """The JSON object of a record's value, or nothing."""
    try:
        parsed = json.loads(bytes.fromhex(value)) if value else None
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def purchases(book, tables, topic, findings):
    """I1 to I4: what was paid is bought, once, by nobody else, as it was paid."""
    paid = {p["id"]: p for p in tables["payments"] if p["status"] == "succeeded"}
    bought = collections.Counter(p["payment_id"] for p in tables["purchases"])
    acknowledged = {p for p, end in book.ends.items() if end == "committed"}
    if not book.faults & REWOUND:
        known = {p["id"] for p in tables["payments"]}
        findings.unless("I1", "payments that PostgreSQL acknowledged are not in it", acknowledged - known)
    findings.unless("I1", "payments that succeeded have no purchase", set(paid) - set(bought))
    findings.unless("I2", "payments have two purchases", (p for p, n in bought.items() if n > 1))
    ids = collections.Counter(row["event_id"] for row in tables["inbox"])
    findings.unless("I2", "events stand in the inbox twice", (e for e, n in ids.items() if n > 1))
    findings.unless("I3", "purchases were paid by nobody", set(bought) - set(paid))
    none = {p for p, end in book.ends.items() if end in ("rolled_back", "refused")}
    findings.unless("I3", "purchases are of payments that never were", set(bought) & none)
    for purchase in tables["purchases"]:
        payment, said = paid.get(purchase["payment_id"]), book.payments.get(purchase["payment_id"])
        for other, names in ((payment, ("student_id", "course_id", "amount", "currency")),
                             (said, ("student", "course", "amount"))):
            own = [purchase[n] for n in ("student_id", "course_id", "amount", "currency")][:len(names)]
            if other and own != [other[n] for n in names]:
                findings.add("I4", "a purchase differs from its payment", [purchase["payment_id"]])


def atomicity(book, tables, samples, findings):
    """I5: inbox, purchase and position moved together, at every look and at the end."""
    bought = {p["payment_id"] for p in tables["purchases"]}
    events = {row["event_id"] for row in tables["inbox"]}
    alone = [r["event_id"] for r in tables["inbox"] if r["outcome"] == "applied" and r["business_key"] not in bought]
    findings.unless("I5", "inbox rows have no purchase", alone)
    alone = [p["payment_id"] for p in tables["purchases"] if p["event_id"] and p["event_id"] not in events]
    findings.unless("I5", "purchases made of an event have no inbox row", alone)
    if not book.faults & REMADE:
        ahead = {row["partition"]: row["next_offset"] for row in tables["positions"]}
        behind = [f"{r['partition']}/{r['offset']}" for r in tables["inbox"]
                  if r["offset"] is not None and r["offset"] >= ahead.get(r["partition"], 0)]
        findings.unless("I5", "inbox rows are ahead of their partition's position", behind)
    for look in samples:
        seen = look.get("tables") or {}
        if seen.get("inbox_alone") or seen.get("purchase_alone"):
            findings.add("I5", f"at {look['t']:.1f} inbox and purchases did not match")
            break


def offsets(book, samples, findings):
    """I6: Kafka never knows of more than PostgreSQL. Kafka was asked first."""
    if book.faults & (OFFSETS_MOVED | REWOUND):
        findings.skipped.add("I6")
        return
    for look in samples:
        committed, seen = look.get("committed"), (look.get("tables") or {}).get("positions")
        if not committed or not seen:
            continue
        positions = {}
        for place, at in seen.items():
            partition = place.rsplit("/", 1)[1]
            positions[partition] = max(at, positions.get(partition, 0))
        for partition, at in committed.items():
            if at > positions.get(partition, 0):
                findings.add("I6", f"Kafka had offset {at} of partition {partition}, PostgreSQL "
                             f"{positions.get(partition)}, at {look['t']:.1f}")
                return


def outbox(book, tables, topic, findings):
    """I7 to I10: what was committed is in the topic, and nothing else, in order, with the same bytes each time."""
    known = {p["id"] for p in tables["payments"]}
    published = {p["event"]: p for p in book.payments.values() if p["kind"] != "silent"}
    # The payment service's records come with headers that name the event; the other producer's have none.
    relayed = [r for r in topic["records"] if any(name in ("id", "ce_id") for name, _ in r["headers"])]
    copies = collections.defaultdict(list)
    for record in relayed:
        event = event_of(record["value"]) or {}
        copies[event.get("eventId")].append(record)
    due = {e for e, p in published.items() if p["payment"] in known}
    if book.faults & SHORTENED:
        findings.skipped.add("I7")
    else:
        findings.unless("I7", "committed events are not in the topic", due - set(copies))
    if book.faults & REWOUND:
        findings.skipped.add("I8")
    else:
        findings.unless("I8", "events in the topic were never committed", set(copies) - due)
    if book.faults & (SHORTENED | {"topic-grows"}):
        findings.skipped.add("I9")
    else:
        order(copies, published, findings)
    findings.unless("I10", "events were sent again with other bytes", (
        e for e, all_of in copies.items() if len({(r["key"], r["value"]) for r in all_of}) > 1))
    most = 3 + sum(book.struck.values())
    findings.unless("I10", f"events were sent more than {most} times", (
        e for e, all_of in copies.items() if len(all_of) > most))


def order(copies, published, findings):
    """I9: the first copies of each key's events stand in the order in which they were paid."""
    by_key = collections.defaultdict(list)
    for event, records in copies.items():
        if event in published:
            first = min(records, key=lambda r: (r["partition"], r["offset"]))
            by_key[published[event]["student"]].append((first["partition"], first["offset"], published[event]["seq"]))
    wrong = []
    for student, events in by_key.items():
        events.sort()
        if len({e[0] for e in events}) > 1 or [e[2] for e in events] != sorted(e[2] for e in events):
            wrong.append(student)
    findings.unless("I9", "students' events are not in their order", wrong)


def records(book, tables, topic, findings):
    """I1, I11 and I14 record by record: applied, known, or put away with its bytes; and nothing is put away for good
    that is not at fault."""
    if book.faults & REMADE:
        findings.skipped.add("I11")
    else:
        kept = {(r["partition"], r["offset"]): r for r in topic["records"]}
        put_away = {(q["partition"], q["offset"]): q for q in tables["quarantine"] if q["topic_id"]}
        # A producer that got no answer sends a batch again: the same event is one case, where it stood first.
        cases = {(q["key"], q["value"]): q for q in tables["quarantine"] if event_of(q["value"])}
        outcome = {row["event_id"]: row["outcome"] for row in tables["inbox"]}
        known = {q["event_id"] for q in tables["quarantine"]}
        # Whoever made its purchase, an event that was read is known; the reconciler must not hide one that was skipped.
        for record in topic["records"]:
            place, event = (record["partition"], record["offset"]), event_of(record["value"]) or {}
            if event.get("eventType") != "PURCHASE_CONFIRMED" or is_covered(place, tables["gaps"], topic):
                continue
            if not (event.get("eventId") in outcome or event.get("eventId") in known or place in put_away
                    or (record["key"], record["value"]) in cases):
                findings.add("I1", "an event in the topic left no trace", [f"{place[0]}/{place[1]}"])
        for number, landed in book.landed.items():
            place = (landed.get("partition"), landed.get("offset"))
            if landed["phase"] != "acknowledged" or is_covered(place, tables["gaps"], topic):
                continue
            sent, record = book.sends[number], kept.get(place)
            case = put_away.get(place) or (record and cases.get((record["key"], record["value"])))
            where = f"{place[0]}/{place[1]}"
            if record is None:
                findings.add("I1", "a record that Kafka acknowledged is not in it", [where])
            elif sent["kind"] == "broken":
                bytes_kept(record, case, where, findings)
            elif sent["kind"] == "orphan" and case is None:
                findings.add("I1", "an event of no payment is nowhere", [where])
    no_false_quarantine(book, tables, topic, findings)


def is_covered(place, gaps, topic):
    low = topic["ends"].get(str(place[0]), [0, 0])[0]
    if place[1] < low:
        return True
    return any(g["partition"] == place[0] and g["from_offset"] <= place[1] < g["to_offset"] for g in gaps)


def bytes_kept(record, case, where, findings):
    if case is None:
        findings.add("I11", "a broken record is not in quarantine", [where])
        return
    names = [bytes.fromhex(n).decode("utf-8", "replace") for n in case["names"] or []]
    same = (case["key"] == record["key"] and case["value"] == record["value"]
            and [[n, v] for n, v in zip(names, case["header_values"] or [])] == record["headers"])
    if not same:
        findings.add("I11", "a record in quarantine has other bytes than in the topic", [where])


def no_false_quarantine(book, tables, topic, findings):
    paid = {p["id"]: p for p in tables["payments"] if p["status"] == "succeeded"}
    lies = {s["payment"] for s in book.sends.values() if s["kind"] == "lie"}
    wrong = []
    for case in tables["quarantine"]:
        event = event_of(case["value"]) or {}
        data = event.get("data") if isinstance(event.get("data"), dict) else {}
        payment = paid.get(data.get("paymentId"))
        if case["resolved"] or payment is None:
            continue
        if data.get("amount") == payment["amount"] and payment["id"] not in lies:
            wrong.append(f"{case['id']} ({case['reason']} {case['sqlstate']})")
    findings.unless("I14", "good records stay in quarantine", wrong)


def liveness(book, tables, topic, findings):
    """I12: nothing waits any more, nobody had to help, and nobody ended by himself."""
    well = book.with_act("well")
    if not well or well[-1]["took"] > WELL_WITHIN:
        said = well[-1].get("waits") if well else "nothing was said"
        findings.add("I12", f"not well {WELL_WITHIN} s after the last fault: {said}")
    newest = {}
    for row in sorted(tables["positions"], key=lambda row: row["written_at"]):
        newest[row["partition"]] = row["next_offset"]
    last = collections.defaultdict(lambda: -1)
    for record in topic["records"]:
        last[record["partition"]] = max(last[record["partition"]], record["offset"])
    behind = [f"{p} at {newest.get(p)} of {at}" for p, at in last.items() if newest.get(p, 0) <= at]
    findings.unless("I12", "partitions were not read to their end", behind)
    findings.unless("I12", "events stay in the outbox", (row["event_id"] for row in tables["unsent"]))
    waiting = [q["id"] for q in tables["quarantine"] if not q["resolved"] and q["suspect"] in ("unproven", "proven")]
    findings.unless("I12", "suspects wait for a verdict", waiting)
    findings.unless("I12", "gaps are open", (f"{g['partition']}/{g['from_offset']}" for g in tables["gaps"] if not g["covered"]))
    for line in book.with_act("ended"):
        # 75 asks the supervisor for a new process; nothing else is right without a signal.
        if line["code"] not in ENDS.get(line.get("told"), {75}):
            findings.add("I12", f"{line['name']} ended by itself with code {line['code']}")
    for line in book.with_act("said"):
        findings.add("I12", f"{line['name']} said: {line['text'][:300]}")


def ends(book, findings):
    """I18. A stop ends well, whatever is away meanwhile."""
    for line in book.with_act("stopped"):
        if line["listens"] and (line["code"] not in STOPS.get(line.get("told"), {0}) or line["took"] >= 30):
            findings.add("I18", f"{line['name']} took {line['took']:.1f} s to stop, exit code {line['code']}")


def secrecy(book, samples, findings):
    leaks = {leak for look in samples for leak in look.get("leaks") or []}
    if leaks:
        findings.add("I16", "what a daemon answered shows a secret or personal data")
    for line in book.with_act("leaked"):
        findings.add("I16", f"the log of {line['name']} shows {line['what']}")


def judge(folder):
    findings = Findings()
    book = Book(evidence.lines(folder, "ledger.jsonl"))
    samples = evidence.lines(folder, "samples.jsonl")
    tables, topic = evidence.read(folder, "tables.json"), evidence.read(folder, "topic.json")
    purchases(book, tables, topic, findings)
    atomicity(book, tables, samples, findings)
    offsets(book, samples, findings)
    outbox(book, tables, topic, findings)
    records(book, tables, topic, findings)
    liveness(book, tables, topic, findings)
    honest_health(book, samples, findings)
    resources(book, samples, findings)
    secrecy(book, samples, findings)
    dry = evidence.read(folder, "dry_run.json")
    if dry["changed"] or dry["state"] != "done":
        findings.add("I17", f"a dry run ended as {dry['state']} and changed {dry['changed']}")
    ends(book, findings)
    failpoints = collections.Counter()
    for line in book.with_act("failpoint"):
        failpoints[f"{line['point']} {line['kind']}"] += line["struck"]
    return {
        "failpoints": failpoints,
        "seed": book.environment.get("seed"), "faults": dict(book.struck), "found": findings.found,
        "skipped": sorted(findings.skipped),
        "payments": len(book.payments), "purchases": len(tables["purchases"]), "records": len(topic["records"]),
        "quarantined": len(tables["quarantine"]), "looks": len(samples), "dirty": book.environment.get("dirty"),
        "well_after": (book.with_act("well") or [{}])[-1].get("took"),
    }


if __name__ == "__main__":
    verdict = judge(sys.argv[1])
    evidence.write(sys.argv[1], "verdict.json", verdict)
    for invariant, sentences in sorted(verdict["found"].items(), key=lambda f: int(f[0][1:])):
        for sentence in sentences[:5]:
            print(f"{invariant}: {sentence}")
    sys.exit(1 if verdict["found"] else 0)
