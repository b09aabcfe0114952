"""Several nodes: finding their leader and waiting for conditions."""

import os
import shutil
import signal
import tempfile

from harness.process import Process, program, send_signal
from harness.waiting import wait_until


class Cluster:
    """Base class of clusters. Derived classes set `nodes` when they start it."""

    def __init__(self):
        self.nodes = []
        self.processes = []  # started by this object, which stops them
        self.scratch = tempfile.mkdtemp(prefix="bop-e2e-")

    # ---- the leader ----

    def leader(self):
        """The node that reports to be the leader in the highest term, or None."""
        led = []
        for node in self.nodes:
            group = node.group()
            if group and group["role"] == "leader":
                led.append((group["term"], node))
        return max(led, key=lambda pair: pair[0])[1] if led else None

    def wait_for_leader(self, other_than=None):
        def found():
            leader = self.leader()
            return leader if leader is not other_than and leader and leader.serves() else None
        return wait_until(found, f"a leader other than {other_than}" if other_than else "a leader")

    def wait_for_leader_among(self, nodes):
        def found():
            for node in nodes:
                group = node.group()
                if group and group["role"] == "leader" and node.serves():
                    return node
            return None
        return wait_until(found, f"a leader among {nodes}")

    def followers(self):
        leader = self.wait_for_leader()
        return [node for node in self.nodes if node is not leader]

    def node(self, number):
        return next(node for node in self.nodes if node.id == number)

    # ---- all nodes ----

    def wait_until_ready(self, nodes=None):
        for node in nodes or self.nodes:
            wait_until(node.ready, f"{node} is ready")

    def wait_until_equal(self, nodes=None):
        """Waits until all nodes have applied the same last entry, and returns its index."""
        def equal():
            groups = [node.group() for node in nodes or self.nodes]
            if not all(groups):
                return None
            places = {(g["applied"], g["commit"], g["last_index"]) for g in groups}
            applied = groups[0]["applied"]
            return applied if places == {(applied, applied, applied)} else None
        return wait_until(equal, "all replicas applied the same entries")

    def endpoints(self):
        return ",".join(node.native for node in self.nodes)

    # ---- starting and stopping ----

    def start_process(self, name, arguments, death_signal="KILL", environment=None):
        log = os.path.join(self.scratch, f"{len(self.processes)}-{name}.log")
        process = Process(arguments, log, death_signal, environment)
        self.processes.append(process)
        return process

    def restart(self, node):
        """Starts a dead node again and waits until it is ready."""
        wait_until(lambda: not node.alive(), f"{node} is dead")
        process = self.start_process(
            f"node{node.id}", [program("bopd"), "start", "--config", node.configuration])
        node.pid = process.pid
        def ready():
            assert process.running(), f"{node} exited during its start:\n{process.text()}"
            return node.ready()
        wait_until(ready, f"{node} is ready again")
        return process

    def stop(self):
        """Ends all processes by pid. It is also called after failures and makes no assumptions about their state."""
        for node in self.nodes:
            node.resume()
        for process in reversed(self.processes):
            process.stop()
        for node in self.nodes:
            send_signal(node.pid, signal.SIGKILL)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def output(self, last_lines=60):
        """The last lines of output of each process, for the report of a failure."""
        logs = [process.log for process in self.processes]
        logs += [os.path.join(node.directory, "bopd.log") for node in self.nodes]  # of nodes started by bopd dev
        parts = []
        for log in filter(os.path.exists, logs):
            with open(log, encoding="utf-8", errors="replace") as file:
                parts.append(f"--- {log}\n" + "".join(file.readlines()[-last_lines:]))
        return "\n".join(parts)
