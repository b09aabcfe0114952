"""A node as seen by clients."""

import http.client
import json
import os
import signal

from harness.process import is_alive, memory_bytes, send_signal
from harness.resp import Resp, RespError

# Exceptions of requests to a node that is down, paused or isolated.
UNREACHABLE = (OSError, http.client.HTTPException)


class Node:
    """The addresses and process of a node, and single requests to it."""

    def __init__(self, number, pid, directory, native, resp, http_address, peer):
        self.id = number
        self.pid = pid
        self.directory = directory
        self.native = native
        self.resp = resp
        self.http = http_address
        self.peer = peer
        self.listen_peer = peer  # where it listens itself, if others reach it through a proxy

    @staticmethod
    def from_ready_file(entry):
        return Node(entry["id"], entry["pid"], entry["dir"], entry["native"], entry["resp"],
                    entry["http"], entry["peer"])

    @property
    def configuration(self):
        return os.path.join(self.directory, "bopd.toml")

    def alive(self):
        return is_alive(self.pid)

    def memory_bytes(self):
        return memory_bytes(self.pid)

    def kill(self):
        send_signal(self.pid, signal.SIGKILL)

    def pause(self):
        send_signal(self.pid, signal.SIGSTOP)

    def resume(self):
        send_signal(self.pid, signal.SIGCONT)

    def ask(self, method, path, body=None, timeout_s=10, headers=None):
        """Sends one HTTP request and returns (status, body)."""
        connection = http.client.HTTPConnection(self.http, timeout=timeout_s)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def status(self, timeout_s=2):
        """GET /v1/status as a dictionary; None if the node does not answer."""
        try:
            code, body = self.ask("GET", "/v1/status", timeout_s=timeout_s)
        except UNREACHABLE:
            return None
        return json.loads(body) if code == 200 else None

    def group(self, name="kv", timeout_s=2):
        """The status of a group, or None."""
        status = self.status(timeout_s)
        return next((g for g in status["groups"] if g["name"] == name), None) if status else None

    def ready(self):
        try:
            return self.ask("GET", "/readyz", timeout_s=2)[0] == 200
        except UNREACHABLE:
            return False

    def client(self, timeout_s=10):
        return Resp(self.resp, timeout_s)

    def call(self, *words, timeout_s=10):
        with self.client(timeout_s) as client:
            return client.call(*words)

    def serves(self):
        """Whether the node answers a linearizable read now."""
        try:
            self.call("GET", "no such key", timeout_s=2)
        except (OSError, RespError):
            return False
        return True

    def __repr__(self):
        return f"node {self.id}"
