"""Processes started by the tests, with their output in files."""

import os
import shutil
import signal
import subprocess

from harness.waiting import wait_until

BIN = os.environ.get("BOP_BIN", os.path.join(os.path.dirname(__file__), "../../../build/release/bin"))
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def program(name):
    return os.path.join(BIN, name)


def run(arguments, timeout_s=60, check=True, **options):
    """Runs a program. Raises AssertionError with its output if it fails or does not exit in time."""
    arguments = [str(argument) for argument in arguments]
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=timeout_s, **options)
    except subprocess.TimeoutExpired as late:
        raise AssertionError(f"{arguments} did not end within {timeout_s} s: {late.stderr}") from None
    if check and done.returncode != 0:
        raise AssertionError(f"{arguments} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def is_alive(pid):
    """Whether a process runs. Zombies, which their parent has not waited for, do not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def memory_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * PAGE_BYTES


def send_signal(pid, number):
    """Does nothing for a process that never started: to os.kill(), 0 is the group of the calling process."""
    if pid <= 0:
        return
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


class Process:
    """A child process, which dies with the test process."""

    def __init__(self, arguments, log, death_signal="KILL", environment=None):
        self.log = log
        arguments = [str(argument) for argument in arguments]
        if shutil.which("setpriv"):
            arguments = ["setpriv", "--pdeathsig", death_signal, *arguments]
        with open(log, "ab") as output:
            self.child = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, **(environment or {})})
        self.pid = self.child.pid

    def running(self):
        return self.child.poll() is None

    def signal(self, number):
        if self.running():
            self.child.send_signal(number)

    def wait(self, deadline_s, what="the process ends"):
        wait_until(lambda: not self.running(), what, deadline_s)
        return self.child.returncode

    def stop(self, deadline_s=15):
        """Sends SIGTERM, after the deadline SIGKILL, and returns the exit code."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self.child.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        return self.child.returncode

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()
