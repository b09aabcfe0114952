#!/usr/bin/env python3
"""Every command in the README works as described, in the order of the README.

Blocks of ```sh run in one shell after another, in the root of the tree. A block that is marked "runs in the
background" is waited for until it serves, and stopped by SIGTERM at the end.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

from harness.case import Case, main
from harness.node import Node
from harness.ports import is_free
from harness.process import BIN, Process, is_alive
from harness.waiting import wait_until

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
PORTS = [7100 + 10 * node + i for node in range(3) for i in range(4)]


def blocks():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        found = re.findall(r"(<!-- runs in the background -->\n)?```sh\n(.*?)```", file.read(), re.S)
    return [(bool(background), text) for background, text in found]


def blocks_with_the_nodes():
    """Blocks of other pages that need the running nodes of the README."""
    with open(os.path.join(ROOT, "docs/LIFE_OF_A_KEY.md"), encoding="utf-8") as file:
        return re.findall(r"<!-- runs with the README's nodes -->\n```sh\n(.*?)```", file.read(), re.S)


class Readme(Case):
    def setUp(self):
        for port in PORTS:
            self.assertTrue(is_free(port), f"port {port} is in use, and the README's commands need it")
        self.folder = tempfile.mkdtemp(prefix="bop-e2e-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.variables = {}

    def localize(self, text):
        """Uses the programs in BOP_BIN, and a temporary directory for the demo data."""
        text = text.replace("build/demo", os.path.join(self.folder, "demo"))
        if os.path.realpath(BIN) != os.path.join(ROOT, "build/release/bin"):
            text = text.replace("./scripts/run", f"{BIN}/bopd dev --nodes 3").replace("build/release/bin", BIN)
        return text

    def run_block(self, text):
        """Every line must succeed. Variables are kept for the next block, as in a terminal."""
        state = os.path.join(self.folder, "state")
        script = f"set -e\n[ ! -f {state} ] || . {state}\n{text}\nwait\ndeclare -p leader pid >{state} 2>/dev/null || true\n"
        done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, f"{text}\n{done.stdout}{done.stderr}")
        return done.stdout

    def start_block(self, text):
        state = os.path.join(self.folder, "state")
        log = os.path.join(self.folder, "background.log")
        script = f"[ ! -f {state} ] || . {state}\nexec {text}"
        process = Process(["bash", "-c", f"cd {ROOT}\n{script}"], log, "TERM")
        self.addCleanup(process.stop)
        return process

    def test_every_command_of_the_readme_works_as_written(self):
        steps = [(background, self.localize(text)) for background, text in blocks()]
        self.assertEqual([background for background, _ in steps], [True, False, False, True])

        cluster = self.start_block(steps[0][1])
        ready = os.path.join(self.folder, "demo.json")
        def serves():
            self.assertTrue(cluster.running(), cluster.text())
            return os.path.exists(ready)
        wait_until(serves, "scripts/run serves", 240)
        with open(ready, encoding="utf-8") as file:
            nodes = [Node.from_ready_file(entry) for entry in json.load(file)["nodes"]]
        self.assertIn("127.0.0.1:7101", cluster.text())

        first = self.run_block(steps[1][1])
        self.assertEqual(first.splitlines()[:2], ["OK", "hello"])
        self.assertIn("good evening", first)
        self.assertIn("farewell", first)
        (life,) = blocks_with_the_nodes()
        story = self.run_block(self.localize(life))
        self.assertRegex(story, r"^revision \d+\ncluster ")
        self.assertRegex(story, r"\nrecord +shard0/\d+\.seg")

        load = self.run_block(steps[2][1])
        self.assertRegex(load.splitlines()[-1], r"acked [1-9]\d* missing 0")
        dead = [node for node in nodes if not is_alive(node.pid)]
        self.assertEqual(len(dead), 1, "one node was killed")

        again = self.start_block(steps[3][1])
        wait_until(dead[0].ready, "the node serves again")
        self.assertEqual(dead[0].call("GET", "farewell"), b"see you")

        for process in (again, cluster):
            process.signal(signal.SIGTERM)
            self.assertEqual(process.wait(5, "it stops"), 0)
        self.assertFalse([node for node in nodes if is_alive(node.pid)])


if __name__ == "__main__":
    main()
