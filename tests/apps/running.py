"""Runs bopd and bop for the tests of the applications."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "e2e"))

from harness.ports import free_block as free_ports

BIN = os.environ["BOP_BIN"]
LIMIT_S = 60
SMALL_LOG = ["--set=log.segment_bytes=2097152", "--set=log.max_bytes=16777216"]


def wait_until(condition, what, limit_s=LIMIT_S):
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {limit_s} s: {what}")


def alive(pid):
    """Whether the process runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it ended in the meantime
        return False


class Case(unittest.TestCase):
    """A test with a temporary directory, which ends the processes that it started."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="bop-apps-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def environment(self, more):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("BOP_")}
        return clean | {"TMPDIR": self.directory} | (more or {})

    def run_program(self, name, *arguments, code=0, stdin=b"", environment=None, stdout=subprocess.PIPE):
        """Runs a program and returns its standard output and error. Fails if it exits with another code."""
        done = subprocess.run([os.path.join(BIN, name), *map(str, arguments)], input=stdin, stdout=stdout,
                              stderr=subprocess.PIPE, timeout=LIMIT_S, env=self.environment(environment), check=False)
        self.assertEqual(done.returncode, code, f"{name} {arguments}\n{done.stdout}\n{done.stderr}")
        return done.stdout, done.stderr.decode()

    def bopd(self, *arguments, **options):
        return self.run_program("bopd", *arguments, **options)

    def start(self, *arguments):
        """Starts a bopd in the background."""
        process = subprocess.Popen([os.path.join(BIN, "bopd"), *map(str, arguments)], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.environment(None))
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        process.communicate()

    def stop(self, process, limit_s=10):
        """Sends SIGTERM and returns the exit code."""
        process.send_signal(signal.SIGTERM)
        return process.wait(limit_s)


class Dev:
    """A running `bopd dev`."""

    def __init__(self, case, nodes=1, data=None, base_port=None, more=()):
        self.base_port = base_port or free_ports(10 * nodes)
        self.ready_file = case.path("ready.json")
        arguments = ["dev", "--nodes", nodes, "--base-port", self.base_port, "--ready-file", self.ready_file,
                     *SMALL_LOG, *more]
        if data:
            arguments += ["--data", data]
        self.process = case.start(*arguments)

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"bopd dev ended: {self.process.communicate()}")
            return os.path.exists(self.ready_file)
        wait_until(ready, "the ready file")
        with open(self.ready_file, encoding="utf-8") as file:
            self.ready = json.load(file)
        self.nodes = self.ready["nodes"]
