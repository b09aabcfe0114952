"""Nodes whose calls on files fail, wait or stop halfway, by rules that a test changes (shim/README.md)."""

import os

from harness.hand import HandCluster
from harness.process import BIN

SHIM = os.environ.get("BOP_FAULTS_SHIM", os.path.join(BIN, "../tests/e2e/libfaults.so"))
LOG = "*/shard*/*.seg"  # the log's segments
NEW_SEGMENT = "*/segment.making"  # the one that is being made; it gets its name when it is whole


class Faults:
    """The rules of one process. None at first."""

    def __init__(self, path):
        self.path = path

    def set(self, *rules):
        """Replaces all rules, at once."""
        temporary = self.path + ".new"
        with open(temporary, "w", encoding="utf-8") as file:
            file.write("".join(rule + "\n" for rule in rules))
        os.rename(temporary, self.path)

    def clear(self):
        self.set()

    def wrap(self, command):
        """The command with the shim. `env` adds it, so that no other program is started with it."""
        assert os.path.exists(SHIM), f"{SHIM} does not exist; build the target tests_e2e"
        return ["env", f"LD_PRELOAD={os.path.abspath(SHIM)}", f"BOP_FAULTS={self.path}",
                "BOP_IO_BACKEND=pool", *command]


class FaultyCluster(HandCluster):
    """`faults[number]` are the rules of that node."""

    def __init__(self, nodes=3, settings=None):
        super().__init__(nodes, settings)
        self.faults = {node.id: Faults(os.path.join(self.scratch, f"faults-{node.id}")) for node in self.nodes}

    def command(self, node):
        return self.faults[node.id].wrap(super().command(node))
