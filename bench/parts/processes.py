"""Processes that are measured: started, ended by pid, their CPU time read from /proc."""

import contextlib
import json
import os
import signal
import subprocess
import time


def wait_until(condition, what, deadline_s=60.0):
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        if time.monotonic() >= end:
            raise RuntimeError(f"waited {deadline_s} s in vain: {what}")
        time.sleep(0.05)
    return value


def cpu_us(pids):
    """Time on a processor of all threads of these processes so far, by the scheduler's own count.

    The user and system times of /proc/PID/stat are sampled by a tick, which short work slips by."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that ended meanwhile
                with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
                    total += int(file.read().split()[0])
    return total / 1000


def settle(pids, idle_share=0.1, deadline_s=15.0):
    """Waits until the processes have little left to do, so that one's work does not slow the next."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        before = cpu_us(pids)
        time.sleep(0.3)
        if cpu_us(pids) - before < idle_share * 300_000:
            return


def start(arguments, log, environment=None):
    with open(log, "ab") as output:
        return subprocess.Popen([str(argument) for argument in arguments], stdin=subprocess.DEVNULL,
                                stdout=output, stderr=output, env={**os.environ, **(environment or {})})


def stop(process, deadline_s=15):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run_json(arguments, timeout_s):
    """Runs a loader to its end and returns the JSON object that it printed."""
    done = subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True,
                          timeout=timeout_s, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, arguments))} exited with {done.returncode}:\n"
                           f"{done.stdout}{done.stderr}")
    return json.loads(done.stdout) if done.stdout.strip() else {}


def tail(path, lines=30):
    with open(path, encoding="utf-8", errors="replace") as file:
        return "".join(file.readlines()[-lines:])
