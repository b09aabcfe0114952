#!/usr/bin/env python3
"""Limits of room: a full log, a full disk."""

import os
import subprocess
import unittest

from harness.case import Case, main
from harness.dev import DevCluster
from harness.hand import HandCluster
from harness.resp import RespError


def write_until_refused(node, size_bytes, most):
    """(how many were acknowledged, the error reply)"""
    value = b"v" * size_bytes
    with node.client(30) as client:
        for number in range(most):
            try:
                client.call("SET", f"fill {number}", value)
            except RespError as error:
                return number, error
    raise AssertionError(f"{most} writes of {size_bytes} bytes were taken")


class Limits(Case):
    def test_a_full_log_refuses_writes_by_name_and_goes_on_reading(self):
        cluster = self.use(HandCluster(settings={"log.segment_bytes": 1 << 20, "log.max_bytes": 8 << 20}))
        leader = cluster.wait_for_leader()
        count, error = write_until_refused(leader, 60_000, 1000)
        self.assertGreater(count, 20)
        self.assertEqual(error.kind, "LOGFULL", error)
        for node in cluster.nodes:
            self.assertTrue(node.alive())
            self.assertEqual(node.call("GET", f"fill {count - 1}"), b"v" * 60_000)
            self.assertIsNone(node.call("GET", f"fill {count}"))
        code, body = leader.ask("PUT", "/v1/kv/one-more", b"v" * 60_000)
        self.assertIn(code, (503, 507))
        self.assertIn(b"LOG_FULL", body)
        self.assertIsNone(leader.call("GET", "one-more"))

    def test_a_full_log_does_not_keep_a_cluster_from_electing(self):
        cluster = self.use(HandCluster(settings={"log.segment_bytes": 1 << 20, "log.max_bytes": 8 << 20}))
        leader = cluster.wait_for_leader()
        count, error = write_until_refused(leader, 60_000, 1000)
        self.assertEqual(error.kind, "LOGFULL", error)
        leader.kill()
        successor = cluster.wait_for_leader(other_than=leader)
        self.assertEqual(successor.call("GET", f"fill {count - 1}"), b"v" * 60_000)

    def test_a_full_disk_refuses_writes_by_name_and_goes_on_reading(self):
        cluster = DevCluster(nodes=1)
        os.makedirs(cluster.data)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", cluster.data], capture_output=True, check=False)
        if mounted.returncode != 0:
            cluster.stop()
            raise unittest.SkipTest("a disk of a size of our own needs the right to mount one")
        self.addCleanup(subprocess.run, ["umount", "-l", cluster.data], check=True)
        self.use(cluster)
        node = cluster.nodes[0]
        count, error = write_until_refused(node, 60_000, 3000)
        self.assertGreater(count, 20)
        self.assertEqual(error.kind, "DISKFULL", error)
        self.assertTrue(node.alive())
        self.assertEqual(node.call("GET", f"fill {count - 1}"), b"v" * 60_000)
        self.assertEqual(node.status()["groups"][0]["health"], "ok")


if __name__ == "__main__":
    main()
