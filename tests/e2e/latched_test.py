#!/usr/bin/env python3
"""The clients of a node whose log fails are told so at once, by name, in every protocol."""

import json
import subprocess
import threading

from harness.case import Case, main
from harness.faults import LOG, FaultyCluster
from harness.process import program
from harness.resp import RespError
from harness.waiting import wait_until

HALTED = r"this replica halted: .*write of .*\.seg: .*(Input/output error|I/O error)"


class Asked:
    """A request on a thread of its own: `result` is what it returned."""

    def __init__(self, ask):
        self.result = None
        self.thread = threading.Thread(target=self._run, args=(ask,))
        self.thread.start()

    def _run(self, ask):
        try:
            self.result = ask()
        except Exception as error:  # pylint: disable=broad-except
            self.result = error

    def wait(self):
        self.thread.join(45)
        assert self.result is not None, "there is no reply long before the request's limit"
        return self.result


class ALatchedLog(Case):
    def put(self, node, key, timeout="90s"):
        return subprocess.run([program("bop"), "--endpoint", node.native, "--timeout", timeout, "put", key, "v"],
                              capture_output=True, text=True, check=False, timeout=120)

    def ask_all(self, node):
        """A write on each protocol, with limits far longer than the test waits for."""
        return {
            "resp": Asked(lambda: node.call("SET", f"by resp {node.id}", "v", timeout_s=90)),
            "http": Asked(lambda: node.ask("PUT", f"/v1/kv/by-http-{node.id}?timeout_ms=90000", b"v", timeout_s=100)),
            "native": Asked(lambda: self.put(node, f"by native {node.id}")),
        }

    def expect_unknown(self, asked, detail):
        error = asked["resp"].wait()
        self.assertIsInstance(error, RespError)
        self.assertEqual(error.kind, "UNKNOWNOUTCOME")
        self.assertRegex(str(error), detail)

        code, body = asked["http"].wait()
        self.assertEqual(code, 504)
        self.assertEqual(json.loads(body)["outcome"], "unknown")
        self.assertRegex(json.loads(body)["error"]["text"], detail)

        done = asked["native"].wait()
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, detail)

    def expect_latched(self, node):
        """Of every request from now on: nothing was executed."""
        detail = r"write of .*\.seg: .*(Input/output error|I/O error)"
        for command in (("SET", "k", "v"), ("GET", "k"), ("INCR", "n")):
            with self.assertRaisesRegex(RespError, f"^LATCHED .*{detail}"):
                node.call(*command)
        for method, path, body in (("PUT", "/v1/kv/k", b"v"), ("GET", "/v1/kv/k", None)):
            code, reply = node.ask(method, path, body)
            self.assertEqual(code, 503)
            reply = json.loads(reply)
            self.assertEqual((reply["outcome"], reply["error"]["code"]), ("not_executed", "BOP_E_LATCHED"))
            self.assertRegex(reply["error"]["text"], detail)
        done = self.put(node, "k", "2s")  # it tries again until then
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, detail)

    def wait_until_in_flight(self, node, proposals):
        """Until the node has that many entries that are not durable: the log's write is held."""
        wait_until(lambda: (lambda g: g and g["last_index"] - g["durable_index"] >= proposals)(node.group()),
                   f"{proposals} writes are in flight on {node}")

    def test_of_one_node_is_named_to_the_clients_in_flight_and_to_all_others(self):
        cluster = self.use(FaultyCluster(nodes=1))
        node = cluster.nodes[0]
        node.call("SET", "k", "v")
        cluster.faults[1].set(f"write {LOG} hold")
        asked = self.ask_all(node)
        self.wait_until_in_flight(node, 3)
        cluster.faults[1].set(f"write {LOG} fail EIO")
        self.expect_unknown(asked, HALTED)
        self.expect_latched(node)

    def test_of_a_leader_is_named_to_its_clients_and_to_those_of_its_followers(self):
        cluster = self.use(FaultyCluster())
        leader = cluster.wait_for_leader()
        follower = cluster.followers()[0]
        leader.call("SET", "k", "v")
        for faults in cluster.faults.values():
            faults.set(f"write {LOG} hold")
        asked = {node: self.ask_all(node) for node in (leader, follower)}
        self.wait_until_in_flight(leader, 6)
        cluster.faults[leader.id].set(f"write {LOG} fail EIO")
        self.expect_unknown(asked[leader], HALTED)
        self.expect_unknown(asked[follower], HALTED)
        for node in cluster.nodes:
            if node is not leader:
                cluster.faults[node.id].clear()
        self.expect_latched(leader)
        wait_until(follower.serves, "the others serve")


if __name__ == "__main__":
    main()
