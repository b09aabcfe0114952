#!/usr/bin/env python3
"""bopd under a supervisor: descriptors, signals, log rotation, readiness, and durability of its files.

    daemon_test.py LIBRARY          that records what is synced (record_syncs.c)
"""

import os
import signal
import socket
import subprocess
import sys
import unittest

from running import BIN, LIMIT_S, Case, Dev, free_ports, wait_until

RECORD_SYNCS = sys.argv.pop(1)
CLUSTER = "0123456789abcdef0123456789abcdef"


class Daemon(Case):
    def configure(self, level="info"):
        if not hasattr(self, "port"):
            self.port = free_ports(1)
        return self.write("bopd.toml", f"""
data_directory = "data"
cluster_id = "{CLUSTER}"
listen = {{native = "127.0.0.1:{self.port}", resp = "", http = "", peer = ""}}
log = {{segment_bytes = 2097152, max_bytes = 16777216}}
logging = {{file = "{self.path('bopd.log')}", level = "{level}"}}
""")

    def spawn(self, *command, environment=None, **options):
        """Starts a process, which inherits the standard streams by default and is ended with the test."""
        process = subprocess.Popen(list(map(str, command)), env=self.environment(environment), **options)
        self.addCleanup(self.end, process)
        return process

    def serving(self, *more, environment=None, **options):
        config = self.configure()
        self.bopd("format", "--config", config)
        process = self.spawn(*more, os.path.join(BIN, "bopd"), "start", "--config", config, environment=environment,
                             **options)
        wait_until(lambda: "serves" in self.log() or process.poll() is not None, "the node serves")
        self.assertIsNone(process.poll())
        return process

    def log(self, name="bopd.log"):
        try:
            with open(self.path(name), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def logs(self, text, name="bopd.log"):
        wait_until(lambda: text in self.log(name), f"{name} says: {text}")

    # ---- descriptors ----

    def test_does_not_open_its_files_as_closed_standard_streams(self):
        for closed in ((0,), (1,), (2,), (0, 1, 2)):
            redirections = " ".join(f"{number}<&-" for number in closed)
            process = self.serving("sh", "-c", f'exec "$@" {redirections}', "sh")
            for number in range(3):
                self.assertNotIn(self.path("data"), os.readlink(f"/proc/{process.pid}/fd/{number}"))
                if number in closed:
                    self.assertEqual(os.readlink(f"/proc/{process.pid}/fd/{number}"), "/dev/null")
            self.assertEqual(self.stop(process), 0)
            with open(self.path("data", "lock"), "rb") as file:
                self.assertNotIn(b"info", file.read())
            self.run_program_in_shell(f"rm -r {self.path('data')} {self.path('bopd.log')}")

    def run_program_in_shell(self, text, code=0):
        done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, timeout=LIMIT_S, check=False,
                              env=self.environment(None))
        self.assertEqual(done.returncode, code, done)
        return done

    def test_reports_output_to_a_closed_stream(self):
        for command in ("bopd config show", "bop --version"):
            done = self.run_program_in_shell(f"{BIN}/{command} >&-", code=3)
            self.assertIn("standard output could not be written", done.stderr)

    # ---- signals ----

    def test_ignores_sighup_if_its_parent_did(self):
        process = self.serving("nohup", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        before = self.log()
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGUSR1)
        os.rename(self.path("bopd.log"), self.path("bopd.log.1"))
        process.send_signal(signal.SIGUSR1)
        wait_until(lambda: os.path.exists(self.path("bopd.log")), "the log is opened again")
        self.assertIsNone(process.poll())
        self.assertEqual(self.log("bopd.log.1"), before)  # it did not even reload
        self.assertEqual(self.stop(process), 0)

    def test_writes_to_a_new_log_file_after_rotation(self):
        process = self.serving()
        for turn, number in enumerate((signal.SIGHUP, signal.SIGUSR1)):
            os.rename(self.path("bopd.log"), self.path(f"bopd.log.{turn}"))
            process.send_signal(number)
            wait_until(lambda: os.path.exists(self.path("bopd.log")), f"a new log after {number.name}")
            self.assertIsNone(process.poll())
        self.assertIn("serves", self.log("bopd.log.0"))
        self.assertEqual(self.stop(process), 0)
        self.assertIn("stopping on SIGTERM", self.log())
        self.assertIn("stopped", self.log())

    def test_reloads_logging_keys_and_names_other_changed_keys(self):
        process = self.serving()
        config = self.configure(level="debug")
        with open(config, "a", encoding="utf-8") as file:
            file.write("[limits]\nin_flight = 7\n[raft]\nheartbeat_ms = 70\n")
        process.send_signal(signal.SIGHUP)
        self.logs("raft.heartbeat_ms changed; the new value takes effect when the node is restarted")
        self.logs("limits.in_flight changed from 1024 to 7")
        self.logs("configuration reloaded")
        config = self.configure(level="error")
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.log().count("heartbeat_ms changed") == 1, "no new warning")
        self.assertEqual(self.stop(process), 0)
        self.assertNotIn("stopping on", self.log())  # below the reloaded level

    def test_an_invalid_configuration_is_not_reloaded(self):
        process = self.serving()
        self.write("bopd.toml", "node_id = 0\n")
        process.send_signal(signal.SIGHUP)
        self.logs("configuration not reloaded: ")
        os.unlink(self.path("bopd.toml"))
        process.send_signal(signal.SIGHUP)
        self.logs("bopd.toml: no such file")
        self.assertEqual(self.stop(process), 0)

    def test_stops_although_nobody_reads_its_log(self):
        self.configure()
        config = self.write("bopd.toml", f"""
data_directory = "data"
cluster_id = "{CLUSTER}"
listen = {{native = "127.0.0.1:{self.port}", resp = "", http = "", peer = ""}}
""")
        self.bopd("format", "--config", config)
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.set_blocking(writer, False)
        try:
            while True:
                os.write(writer, b"x" * 4096)
        except BlockingIOError:
            os.set_blocking(writer, True)
        process = self.spawn(os.path.join(BIN, "bopd"), "start", "--config", config, stderr=writer)
        os.close(writer)

        def serves():
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", self.port)) == 0
        wait_until(serves, "the node serves")
        self.assertEqual(self.stop(process, LIMIT_S), 3)

    def test_refuses_a_log_file_that_is_a_fifo(self):
        config = self.configure()
        self.bopd("format", "--config", config)
        os.mkfifo(self.path("bopd.log"))
        _, error = self.bopd("start", "--config", config, code=3)
        self.assertIn("bopd.log is a FIFO", error)

    # ---- systemd ----

    def notified(self, listener):
        return listener.recv(4096).decode().splitlines()

    def test_notifies_systemd_when_ready_reloading_and_stopping(self):
        for name in (self.path("notify"), "\0bop-test-" + os.path.basename(self.directory)):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
                listener.settimeout(LIMIT_S)
                listener.bind(name)
                process = self.serving(environment={"NOTIFY_SOCKET": name.replace("\0", "@")})
                self.assertEqual(self.notified(listener), ["READY=1"])
                process.send_signal(signal.SIGHUP)
                reloading = self.notified(listener)
                self.assertEqual(reloading[0], "RELOADING=1")
                self.assertRegex(reloading[1], r"^MONOTONIC_USEC=\d+$")
                self.assertEqual(self.notified(listener), ["READY=1"])
                process.send_signal(signal.SIGTERM)
                self.assertEqual(self.notified(listener), ["STOPPING=1"])
                self.assertEqual(process.wait(LIMIT_S), 0)
            self.run_program_in_shell(f"rm -r {self.path('data')} {self.path('bopd.log')}")

    def test_starts_if_its_supervisor_does_not_listen(self):
        process = self.serving(environment={"NOTIFY_SOCKET": self.path("nobody")})
        self.assertEqual(self.stop(process), 0)

    # ---- power cuts ----

    def recorded(self):
        with open(self.path("syncs"), encoding="utf-8") as file:
            return file.read().splitlines()

    def assert_in_order(self, lines, *wanted):
        at = 0
        for line in wanted:
            self.assertIn(line, lines[at:])
            at = lines.index(line, at) + 1

    def test_dev_syncs_the_configuration_and_its_directory(self):
        os.environ |= {"LD_PRELOAD": RECORD_SYNCS}
        self.addCleanup(os.environ.pop, "LD_PRELOAD")
        record = self.path("syncs")
        self.environment = lambda more, clean=self.environment: clean(more) | {"BOP_SYNC_RECORD": record}
        data = self.path("some", "data")
        dev = Dev(self, nodes=2, data=data)
        self.assertEqual(self.stop(dev.process, 30), 0)
        lines = self.recorded()
        for node in ("1", "2"):
            folder = os.path.join(data, node)
            self.assert_in_order(lines, f"sync {data}", f"sync {folder}/bopd.toml.new", f"rename {folder}/bopd.toml",
                                 f"sync {folder}")
        self.assert_in_order(lines, f"sync {self.directory}", f"sync {self.path('some')}", f"sync {data}")

    def test_format_syncs_the_directories_that_it_creates(self):
        config = self.configure()
        self.bopd("format", "--config", config, "--set", f"data_directory={self.path('one', 'two')}",
                  environment={"LD_PRELOAD": RECORD_SYNCS, "BOP_SYNC_RECORD": self.path("syncs")})
        self.assert_in_order(self.recorded(), f"sync {self.directory}", f"sync {self.path('one')}",
                             f"sync {self.path('one', 'two')}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
