"""What the judge's programs share: the folder of a round and how to read it."""

import json
import os


def lines(folder, name):
    """The JSON lines of a file; a last line that was cut off by a crash is none."""
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        return []
    found = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            try:
                found.append(json.loads(line))
            except ValueError:
                break
    return found


def environment(ledger):
    """The newest description of the servers."""
    merged = {}
    for line in ledger:
        if line["act"] in ("environment", "moved"):
            merged.update(line)
    return merged


def write(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump(value, file)


def read(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return json.load(file)
