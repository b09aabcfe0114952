"""What clients saw, recorded as bop-check reads it (sim/history.h), and checked by it."""

import json
import os
import threading
import time

from harness.process import program, run


class History:
    """Operations of many threads on one clock."""

    def __init__(self):
        self.operations = []
        self.lock = threading.Lock()

    def add(self, operation):
        with self.lock:
            self.operations.append(operation)

    def count(self, outcome):
        with self.lock:
            return sum(operation["outcome"] == outcome for operation in self.operations)

    def write(self, path):
        with open(path, "w", encoding="utf-8") as file:
            for operation in self.operations:
                file.write(json.dumps(operation, separators=(",", ":")) + "\n")

    def check(self, folder):
        """AssertionError with the checker's words when it is not linearizable."""
        path = os.path.join(folder, "history.jsonl")
        self.write(path)
        checked = run([program("bop-check"), path], check=False)
        assert checked.returncode == 0, f"bop-check: {checked.returncode}\n{checked.stdout}{checked.stderr}"


class Recorder:
    """One client's pen: it times a call and writes down what is known of its outcome."""

    def __init__(self, history, client):
        self.history = history
        self.client = client
        self.began = 0

    def begin(self):
        self.began = time.monotonic_ns()

    def known(self, outcome="ok", **fields):
        self.history.add({"client": self.client, "outcome": outcome, "invoked_ns": self.began,
                          "returned_ns": time.monotonic_ns(), **fields})

    def unknown(self, **fields):
        self.history.add({"client": self.client, "outcome": "unknown", "invoked_ns": self.began, **fields})
