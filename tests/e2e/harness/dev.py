"""A cluster started by `bopd dev`."""

import json
import os
import signal

from harness.cluster import Cluster
from harness.node import Node
from harness.ports import free_block
from harness.process import program
from harness.waiting import wait_until

PORTS_A_NODE = 10
SETTINGS = {"log.segment_bytes": 4 << 20}  # segments are written in full before use: small ones let nodes start sooner


class DevCluster(Cluster):
    """`bopd dev --nodes N`. Its data directory is kept until stop()."""

    def __init__(self, nodes=3, data=True, environment=None, base_port=None, settings=None):
        super().__init__()
        self.settings = {**SETTINGS, **(settings or {})}
        self.count = nodes
        self.data = os.path.join(self.scratch, "data") if data else None
        self.environment = environment
        self.base_port = base_port or free_block(PORTS_A_NODE * nodes)
        self.ready_file = os.path.join(self.scratch, "ready.json")
        self.dev = None
        self.cluster_id = None

    def arguments(self):
        data = ["--data", self.data] if self.data else []
        return [program("bopd"), "dev", "--nodes", self.count, "--base-port", self.base_port,
                "--ready-file", self.ready_file, *data,
                *[f"--set={key}={value}" for key, value in self.settings.items()]]

    def start(self):
        """Starts it and waits for the ready file."""
        try:
            return self._start()
        except BaseException:
            print(self.output())
            self.stop()
            raise

    def _start(self):
        if os.path.exists(self.ready_file):
            os.remove(self.ready_file)
        self.dev = self.start_process("dev", self.arguments(), "TERM", self.environment)
        def appeared():
            assert self.dev.running(), f"bopd dev exited during its start:\n{self.dev.text()}"
            return os.path.exists(self.ready_file)
        wait_until(appeared, "the ready file appears")
        with open(self.ready_file, encoding="utf-8") as file:
            ready = json.load(file)
        self.cluster_id = ready["cluster"]
        self.nodes = [Node.from_ready_file(entry) for entry in ready["nodes"]]
        return self

    def kill_all(self):
        """Kills all nodes and `bopd dev` with SIGKILL, so that nothing is shut down in order."""
        self.dev.signal(signal.SIGSTOP)  # so that it does not react to the first death
        for node in self.nodes:
            node.kill()
        self.dev.signal(signal.SIGKILL)
        self.dev.wait(10)
        for node in self.nodes:
            wait_until(lambda node=node: not node.alive(), f"{node} is dead")
