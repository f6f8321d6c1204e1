"""Whether the daemons told the truth of themselves, and how much they took, by the looks at them."""

# A daemon that cannot make a purchase must say so this soon, and be ready this soon once it can, in seconds.
RED_WITHIN, GREEN_WITHIN = 10, 30
# A look takes a moment, and so does the fault itself.
SLACK = 2.5
# A payment without a purchase for so long is no longer on its way; the reconciler here comes by every five seconds.
WAITING = 25
MOST = {"rss": 400 * 1024, "threads": 64, "files": 200}
MOST_SESSIONS, MOST_IDLE = 40, 30


def says_all_is_well(look):
    """Whoever says that records wait has not said that."""
    return look["ok"] and look["verdict"] == "ok"


def spans(book, truths):
    """From when to when a fault surely held, with its name."""
    open_ones, found = {}, []
    for line in book.with_act("fault"):
        name = line["name"]
        if line["phase"] == "begin" and line["truth"] in truths:
            open_ones[name] = line["t"]
        elif line["phase"] == "end" and name in open_ones:
            found.append((open_ones.pop(name), line["t"], name))
    return found


def honest_health(book, samples, findings):
    """I13."""
    looks = [look for look in samples if look["look"] == "daemon"]
    for begin, end, name in spans(book, {"unable"}):
        wrong = [s for s in looks if s["t"] > begin + RED_WITHIN + SLACK and s["until"] < end and s["ready"] == 200]
        if wrong:
            findings.add("I13", f"ready {wrong[0]['t'] - begin:.0f} s into {name}, which lasted {end - begin:.0f} s")
    for begin, end, name in spans(book, {"unable", "stuck"}):
        wrong = [s for s in looks if s["t"] > begin + RED_WITHIN + SLACK and s["until"] < end and says_all_is_well(s)]
        if wrong:
            findings.add("I13", f"all was said to be well {wrong[0]['t'] - begin:.0f} s into {name}")
    green(book, looks, findings)
    # By a clock that jumps nobody can say how long anything waited.
    if "postgres-clock" not in book.faults:
        never_ok_while_something_waits(samples, findings)


def green(book, looks, findings):
    """Ready soon after the last fault, and from then on."""
    quiet = book.with_act("quiet")
    first = [s for s in looks if s["name"] == "first"]
    if not quiet or not first:
        findings.add("I13", "nobody was asked")
        return
    ended = (book.with_act("judging") or [{"t": float("inf")}])[-1]["t"]
    late = [s for s in first if quiet[-1]["t"] + GREEN_WITHIN + SLACK < s["t"] < ended and s["ready"] != 200]
    if late:
        said = late[0]["reasons"] or "nothing"
        findings.add("I13", f"not ready {late[0]['t'] - quiet[-1]['t']:.0f} s after the last fault; it said: {said}")
    elif not any(s["ready"] == 200 for s in first if s["t"] > quiet[-1]["t"]):
        findings.add("I13", "never ready after the last fault")


def never_ok_while_something_waits(samples, findings):
    """What was true just before a look and just after it was true while it was taken."""
    before = None
    said = []
    for look in samples:
        if look["look"] == "daemon":
            said.append(look)
            continue
        waits = (look.get("tables") or {}).get("unpurchased")
        if before and waits and before[1] > WAITING and waits > WAITING:
            wrong = [s for s in said if says_all_is_well(s)]
            if wrong:
                findings.add("I13", f"all was said to be well at {wrong[0]['t']:.1f} while a payment waited for {waits:.0f} s")
                return
        before = (look["t"], waits) if waits else None
        said = []


def resources(book, samples, findings):
    """I15."""
    clock_jumps = "postgres-clock" in book.faults
    for look in samples:
        taken = look.get("process") or {}
        for what, most in MOST.items():
            if taken.get(what, 0) > most:
                findings.add("I15", f"{look['name']} had {what} of {taken[what]}")
                return
        seen = look.get("tables") or {}
        if (seen.get("sessions") or 0) > MOST_SESSIONS:
            findings.add("I15", f"{seen['sessions']} sessions of daemons")
            return
        if (seen.get("idle") or 0) > MOST_IDLE and not clock_jumps:
            findings.add("I15", f"a session was idle in its transaction for {seen['idle']:.0f} s")
            return
