"""What the tests of sweeps look with: a watcher that is silent, and the files of runs without their times."""

import json


class Silent:
    def __init__(self):
        self.ends = []

    def begun(self, cells, done, impossible, failed):
        self.counts = (cells, done, impossible, failed)

    def started(self, number, title):
        pass

    def progress(self, number, done, of):
        pass

    def ended(self, number, title, state, why, seconds):
        self.ends.append((number, state, why))

    def left(self, seconds):
        pass


def content(folder):
    """What the runs of a folder hold, without what differs from time to time."""
    found = {}
    for path in sorted(folder.glob("*/*")):
        if path.name in (".lock", "log.txt"):
            continue
        text = path.read_bytes()
        if path.name in ("result.json", "experiences.jsonl", "checkpoint.json"):
            lines = (
                [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else [json.loads(text)]
            )
            for line in lines:
                for key in ("seconds", "sha256"):
                    line.pop(key, None)
                for checkpoint in line.get("checkpoints", []):
                    checkpoint.pop("lines_sha256")  # of lines that hold times
            text = json.dumps(lines)
        found[str(path.relative_to(folder))] = text
    return found
