"""Histories of client operations in the format of bop-check (sim/history.h), which checks them."""

import json
import os
import threading
import time

from harness.process import program, run


class History:
    """Operations of several threads, timed with one clock."""

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
        """Raises AssertionError with the output of bop-check if the history is not linearizable."""
        path = os.path.join(folder, "history.jsonl")
        self.write(path)
        checked = run([program("bop-check"), path], check=False)
        assert checked.returncode == 0, f"bop-check: {checked.returncode}\n{checked.stdout}{checked.stderr}"


class Recorder:
    """Records the operations of one client: their times, and what is known of their outcomes."""

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
