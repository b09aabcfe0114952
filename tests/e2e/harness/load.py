"""Loads: clients in threads that write or read until they are stopped.

What a reply means is in one place, `classify`: a node that refuses says that nothing was executed, and
only UNKNOWNOUTCOME or a lost connection leave it open.
"""

import json
import random
import subprocess
import threading
import time

from harness.history import History, Recorder
from harness.process import program
from harness.resp import RespError
from harness.waiting import wait_until

REFUSALS = {"CLUSTERDOWN", "OVERLOADED"}  # provably not executed
PAUSE_S = 0.02  # before a client that was refused tries another node


def classify(error):
    """"refused" or "unknown". Any other error fails the test."""
    if isinstance(error, RespError):
        if error.kind in REFUSALS:
            return "refused"
        if error.kind == "UNKNOWNOUTCOME":
            return "unknown"
        raise error
    return "unknown"  # the socket failed after the request was sent


class Worker(threading.Thread):
    """A client with one connection. After an error it connects to the next node."""

    def __init__(self, nodes, number, stopped, timeout_s=5):
        super().__init__(name=f"client {number}")
        self.nodes = nodes
        self.number = number
        self.stopped = stopped
        self.timeout_s = timeout_s
        self.turn = number
        self.client = None
        self.failure = None
        self.acknowledged = 0
        self.unknown = []  # causes of unknown outcomes

    def run(self):
        try:
            while not self.stopped.is_set():
                if self.client or self.connect():
                    self.step()
        except Exception as failure:  # reported to the thread of the test by Load.stop
            self.failure = failure
        finally:
            self.disconnect()

    def connect(self):
        node = self.nodes[self.turn % len(self.nodes)]
        self.turn += 1
        try:
            self.client = node.client(self.timeout_s)
        except OSError:
            self.stopped.wait(PAUSE_S)
        return self.client is not None

    def disconnect(self):
        if self.client:
            self.client.close()
            self.client = None

    def attempt(self, *words):
        """(outcome, reply) of one command: ok, refused or unknown."""
        try:
            reply = self.client.call(*words)
        except (OSError, RespError) as error:
            outcome = classify(error)
            if outcome == "unknown":
                self.unknown.append(f"{self.name}: {error!r}")
            self.disconnect()  # the next try goes to another node
            self.stopped.wait(PAUSE_S)
            return outcome, None
        self.acknowledged += 1
        return "ok", reply

    def step(self):
        raise NotImplementedError


class Load:
    """A set of workers. As a context manager it stops them at the end."""

    def __init__(self, workers, stopped):
        self.workers = workers
        self.stopped = stopped

    def __enter__(self):
        for worker in self.workers:
            worker.start()
        return self

    def __exit__(self, kind, *_):
        self.stop(raising=kind is None)

    def stop(self, raising=True):
        self.stopped.set()
        for worker in self.workers:
            worker.join()
        failures = [worker.failure for worker in self.workers if worker.failure]
        if failures and raising:
            raise failures[0]

    def acknowledged(self):
        return sum(worker.acknowledged for worker in self.workers)

    def unknown(self):
        return [why for worker in self.workers for why in worker.unknown]

    def wait_for_progress(self, count):
        """Waits until `count` more requests are acknowledged."""
        goal = self.acknowledged() + count
        def reached():
            failures = [worker.failure for worker in self.workers if worker.failure]
            if failures:
                raise failures[0]
            return self.acknowledged() >= goal
        wait_until(reached, f"{count} more requests are acknowledged")


class UniqueWriter(Worker):
    """Writes unique keys, each once, and remembers which were acknowledged."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.next = 0
        self.kept = {}
        self.unsure = set()

    def step(self):
        key = f"w{self.number}-{self.next}"
        value = f"value of {key}".encode()
        self.next += 1
        outcome, _ = self.attempt("SET", key, value)
        if outcome == "ok":
            self.kept[key] = value
        elif outcome == "unknown":
            self.unsure.add(key)


class UniqueLoad(Load):
    """Writes unique keys through all nodes; the acknowledged ones must exist afterwards."""

    def __init__(self, nodes, clients=6):
        stopped = threading.Event()
        super().__init__([UniqueWriter(nodes, number, stopped) for number in range(clients)], stopped)

    def missing(self, node, batch=500):
        """The acknowledged keys whose value on `node` is missing or different."""
        kept = {key: value for worker in self.workers for key, value in worker.kept.items()}
        keys = list(kept)
        lost = []
        with node.client(30) as client:
            for first in range(0, len(keys), batch):
                some = keys[first : first + batch]
                values = client.call("MGET", *some)
                lost += [key for key, value in zip(some, values) if value != kept[key]]
        return lost


class HistoryWorker(Worker):
    """Reads and writes a few keys that all clients share, and records every outcome."""

    def __init__(self, nodes, number, stopped, history, keys, **options):
        super().__init__(nodes, number, stopped, **options)
        self.recorder = Recorder(history, number)
        self.random = random.Random(number)
        self.keys = keys
        self.written = 0

    def step(self):
        self.random.choices(
            [self.get, self.set, self.set_if_absent, self.exchange, self.append, self.delete, self.add],
            [40, 25, 5, 5, 5, 5, 15])[0]()

    def key(self):
        return f"register-{self.random.randrange(self.keys)}"

    def unique(self):
        self.written += 1
        return f"{self.number}.{self.written};"

    def record(self, words, fields, seen):
        """Sends `words`; `seen` maps the reply to (outcome, fields of the recorded result)."""
        self.recorder.begin()
        outcome, reply = self.attempt(*words)
        if outcome == "ok":
            known, told = seen(reply)
            self.recorder.known(known, **fields, **told)
        elif outcome == "unknown" and fields["op"] != "get":
            self.recorder.unknown(**fields)

    @staticmethod
    def before(reply):
        if reply is None:
            return "ok", {"seen": {"present": False}}
        return "ok", {"seen": {"present": True, "value": reply.decode("latin-1")}}

    def get(self):
        key = self.key()
        self.record(["GET", key], {"key": key, "op": "get"}, self.before)

    def set(self):
        key, value = self.key(), self.unique()
        self.record(["SET", key, value], {"key": key, "op": "put", "value": value},
                    lambda reply: ("ok", {}))

    def set_if_absent(self):
        key, value = self.key(), self.unique()
        self.record(["SET", key, value, "NX"], {"key": key, "op": "put", "value": value, "if": "absent"},
                    lambda reply: ("condition_failed" if reply is None else "ok", {}))

    def exchange(self):
        key, value = self.key(), self.unique()
        self.record(["SET", key, value, "GET"], {"key": key, "op": "put", "value": value}, self.before)

    def append(self):
        key, value = self.key(), self.unique()
        self.record(["APPEND", key, value], {"key": key, "op": "append", "value": value},
                    lambda reply: ("ok", {"result": reply}))

    def delete(self):
        key = self.key()
        self.record(["DEL", key], {"key": key, "op": "remove"},
                    lambda reply: ("ok", {"seen": {"present": reply == 1}}))

    def add(self):
        key, delta = f"counter-{self.random.randrange(self.keys)}", self.random.randrange(1, 10)
        self.record(["INCRBY", key, delta], {"key": key, "op": "add", "delta": delta},
                    lambda reply: ("ok", {"result": reply}))


class HistoryLoad(Load):
    """Clients on all nodes whose operations are recorded as a history."""

    def __init__(self, nodes, clients=6, keys=4, timeout_s=5):
        stopped = threading.Event()
        self.history = History()
        super().__init__(
            [HistoryWorker(nodes, number, stopped, self.history, keys, timeout_s=timeout_s)
             for number in range(clients)], stopped)


class BenchLoad:
    """`bop bench kv`, which reads back the writes that were acknowledged. Its timeout is much shorter than the load, so
    that clients of a leader that does not answer continue with another node."""

    def __init__(self, cluster, seconds=8):
        self.cluster = cluster
        self.arguments = [program("bop"), "--endpoint", cluster.endpoints(), "--timeout", "1500ms", "bench",
                          "kv", "--clients", "16", "--time", str(seconds), "--keys", "2000", "-o", "json"]

    def __enter__(self):
        self.cluster.wait_for_leader()
        self.process = subprocess.Popen(self.arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def wait_for_progress(self, count):
        """Waits until `count` more writes are committed while the benchmark runs."""
        wait_for_writes(self.cluster, count)
        assert self.process.poll() is None, "bop bench exited before the test ended"

    def result(self):
        """The result that it printed. Raises AssertionError if a write is missing."""
        out, err = self.process.communicate(timeout=90)
        assert self.process.returncode == 0, f"bop bench exited with {self.process.returncode}: {out}{err}"
        result = json.loads(out)
        assert result["missing"] == 0, f"{result} {err}"
        return result


def wait_for_writes(cluster, count):
    """Waits until the commit index of the cluster has increased by `count`."""
    def commit():
        groups = [node.group() for node in cluster.nodes if node.alive()]
        return max((group["commit"] for group in groups if group), default=0)
    start = commit()
    wait_until(lambda: commit() >= start + count, f"{count} more entries are committed")


def elapsed_s(action):
    began = time.monotonic()
    action()
    return time.monotonic() - began
