#!/usr/bin/env python3
"""A store that was altered on its disk is never answered from: its replica is halted with file and offset, and the others
go on."""

import os
import random
import shutil
import signal

from harness.case import Case, main
from harness.faults import FaultyCluster
from harness.process import send_signal
from harness.resp import RespError
from harness.status import conditions, metric
from harness.waiting import wait_until

VALUE = b"v" * 3000


class StoreDamage(Case):
    def setUp(self):
        self.cluster = self.use(FaultyCluster(settings={"log.segment_bytes": 2 << 20, "kv.memory_bytes": 1 << 20,
                                                        "scrub.bytes_per_s": 256 << 20}))
        self.written = 0
        while self.written < 1000:
            self.write()
        self.cluster.wait_until_equal()

    def write(self):
        def taken():
            try:
                return self.cluster.wait_for_leader().call("SET", f"key {self.written}", VALUE) == "OK"
            except RespError:
                return False
        wait_until(taken, f"write {self.written}")
        self.written += 1

    def store(self, node, group=1):
        return os.path.join(node.directory, "data", "shard0", f"group-{group}", "1", "kv.mdbx")

    def stop(self, node):
        send_signal(node.pid, signal.SIGTERM)  # upon which it makes durable what its machine applied
        wait_until(lambda: not node.alive(), f"{node} ended")

    def values(self, node):
        """Of a few keys: no value may be wrong or missing, whatever is refused."""
        got = []
        for number in range(0, self.written, 40):
            try:
                got.append(node.call("GET", f"key {number}"))
            except (RespError, OSError):
                continue
        self.assertEqual(set(got) - {VALUE}, set())
        return got

    def wait_until_condemned(self, node, words):
        def halted():
            self.values(node)
            return (node.group() or {}).get("halted")
        found = wait_until(halted, f"{node} halts its replica")
        self.assertEqual(found["code"], "BOP_E_DAMAGED")
        self.assertRegex(found["reason"], words)
        self.assertIsNone(node.group()["state_hash"])
        with self.assertRaises(RespError) as refused:
            node.call("GET", "key 0")
        self.assertEqual(refused.exception.kind, "DAMAGED")
        wait_until(lambda: "halted" in conditions(node), f"{node} reports that it is halted")
        self.assertEqual(metric(node, 'bop_store_damaged{group="kv"}'), 1)
        self.write()
        for other in self.cluster.nodes:
            if other is not node:
                self.assertEqual(len(self.values(other)), len(range(0, self.written, 40)))

    def test_an_altered_value_in_a_stopped_nodes_store_is_found_before_it_serves(self):
        node = self.cluster.followers()[0]
        self.stop(node)
        path = self.store(node)
        with open(path, "r+b") as file:
            at = file.read().find(VALUE)
            self.assertGreater(at, 0)
            file.seek(at + 1000)
            file.write(b"W")
        self.cluster.start_node(node)
        self.wait_until_condemned(node, r"kv\.mdbx at \d+: page \d+: the record with key hash [0-9a-f]{16} does not match")

    def test_bytes_that_change_while_it_serves_are_found_within_a_pass_of_the_scrub(self):
        node = self.cluster.followers()[0]
        wait_until(lambda: node.group()["scrub"]["passes"] > 0, "a pass of the scrub")
        self.assertGreater(metric(node, 'bop_store_scrubbed_bytes_total{group="kv"}'), 0)
        choose = random.Random(1)
        with open(self.store(node), "r+b") as file:
            content = file.read()
            pages = [at for at in range(3 * 4096, len(content), 4096) if any(content[at:at + 4096])]
            for _ in range(2000):
                file.seek(choose.choice(pages) + choose.randrange(4096))
                file.write(bytes([choose.randrange(256)]))
        self.wait_until_condemned(node, r"kv\.mdbx")

    def test_a_page_that_the_device_cannot_read_is_named(self):
        node = self.cluster.followers()[0]
        self.stop(node)
        self.cluster.faults[node.id].set("read */kv.mdbx fail EIO")
        self.cluster.start_node(node)
        wait_until(lambda: (node.group() or {}).get("halted"), f"{node} halts its replica")
        self.assertRegex(node.group()["halted"]["reason"], r"kv\.mdbx.*Input/output error")
        self.write()

    def test_a_store_of_another_node_of_another_cluster_is_refused_by_name(self):
        node = self.cluster.followers()[0]
        self.stop(node)
        other = self.use(FaultyCluster(nodes=1))
        stranger = other.nodes[0]
        other.wait_for_leader().call("SET", "key 0", "of another cluster")
        self.stop(stranger)
        shutil.copy(self.store(stranger), self.store(node))
        self.cluster.start_node(node)
        found = wait_until(lambda: (node.group() or {}).get("halted"), f"{node} halts its replica")
        self.assertEqual(found["code"], "BOP_E_FOREIGN_DIRECTORY")
        self.assertRegex(found["reason"], r"kv\.mdbx: it is the store of instance 1 of group 1 of cluster [0-9a-f]{32}, ")
        self.values(node)
        self.write()


if __name__ == "__main__":
    main()
