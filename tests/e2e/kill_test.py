#!/usr/bin/env python3
"""kill -9 of nodes under load: no acknowledged write is lost."""

import fcntl
import os
import subprocess

from harness.case import Case, main
from harness.dev import DevCluster
from harness.hand import HandCluster
from harness.load import BenchLoad, HistoryLoad, UniqueLoad
from harness.process import is_alive, program
from harness.waiting import holds_for, wait_until


class Kill(Case):
    def setUp(self):
        self.cluster = self.use(DevCluster())

    def test_killing_the_leader_under_load_loses_nothing_that_was_acknowledged(self):
        with UniqueLoad(self.cluster.nodes) as load:
            load.wait_for_progress(1000)
            leader = self.cluster.wait_for_leader()
            leader.kill()
            survivors = [node for node in self.cluster.nodes if node is not leader]
            self.cluster.wait_for_leader(other_than=leader)
            load.wait_for_progress(1000)
        for node in survivors:
            self.assertEqual(load.missing(node), [])
        self.cluster.restart(leader)
        self.assertEqual(load.missing(leader), [])

    def test_histories_are_linearizable_while_leaders_are_killed_and_restarted(self):
        with HistoryLoad(self.cluster.nodes) as load:
            for _ in range(2):
                load.wait_for_progress(500)
                leader = self.cluster.wait_for_leader()
                leader.kill()
                self.cluster.wait_for_leader(other_than=leader)
                load.wait_for_progress(500)
                self.cluster.restart(leader)
            load.wait_for_progress(500)
        load.history.check(self.cluster.scratch)

    def test_bop_bench_misses_nothing_when_the_leader_is_killed(self):
        with BenchLoad(self.cluster) as bench:
            bench.wait_for_progress(3000)
            leader = self.cluster.wait_for_leader()
            leader.kill()
            self.cluster.wait_for_leader(other_than=leader)
            bench.wait_for_progress(1000)
            self.assertGreater(bench.result()["acked"], 4000)

    def test_redis_benchmark_gets_no_error_but_unknown_outcome_when_the_leader_is_killed(self):
        leader, follower = self.cluster.wait_for_leader(), self.cluster.followers()[0]
        def increment(times):
            return subprocess.Popen(
                ["redis-benchmark", "-p", follower.resp.rpartition(":")[2], "-c", "20", "-n", str(times), "-q", "INCR",
                 "counter"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        def counted():
            return int(follower.call("GET", "counter") or 0)

        bench = increment(100_000_000)
        self.addCleanup(bench.kill)
        wait_until(lambda: counted() >= 1000, "redis-benchmark increments")
        before = counted()
        leader.kill()
        output = bench.communicate(timeout=60)[0]  # the first error ends it
        self.assertRegex(output, "Error from server: (UNKNOWNOUTCOME|CLUSTERDOWN) ")
        self.cluster.wait_for_leader(other_than=leader)
        self.assertGreaterEqual(counted(), before)

        before = counted()
        bench = increment(5000)
        output = bench.communicate(timeout=60)[0]
        self.assertEqual(bench.returncode, 0, output)
        # One each; the requests in flight of the first 20 clients may have been executed in the meantime.
        self.assertIn(counted() - before, range(5000, 5021))

    def test_a_dead_follower_does_not_stop_writes_and_is_not_restarted(self):
        follower = self.cluster.followers()[0]
        with UniqueLoad([node for node in self.cluster.nodes if node is not follower]) as load:
            load.wait_for_progress(500)
            follower.kill()
            wait_until(lambda: not follower.alive(), "the follower is dead")
            load.wait_for_progress(1000)
            # It is not restarted: its listeners stay closed.
            holds_for(lambda: follower.status() is None, 1.5, "the follower stays dead")
        self.assertTrue(self.cluster.dev.running())
        self.assertEqual(load.missing(self.cluster.wait_for_leader()), [])

    def test_killing_all_nodes_at_once_keeps_everything_that_was_acknowledged(self):
        with UniqueLoad(self.cluster.nodes) as load:
            load.wait_for_progress(3000)
            self.cluster.kill_all()
            load.stop()
        self.cluster.start()
        for node in self.cluster.nodes:
            self.assertEqual(load.missing(node), [])
        self.assertEqual(self.cluster.nodes[0].call("SET", "after", "all"), "OK")

    def test_with_two_of_three_nodes_dead_nothing_is_answered(self):
        survivor, *others = self.cluster.nodes
        self.assertEqual(survivor.call("SET", "before", "1"), "OK")
        for node in others:
            node.kill()
        wait_until(lambda: not any(node.alive() for node in others), "two nodes are dead")
        self.assertFalse(survivor.serves())
        self.assertEqual(survivor.ask("GET", "/livez")[0], 200)
        wait_until(lambda: survivor.ask("GET", "/readyz")[0] == 503, "it says that it is not ready")
        self.cluster.restart(others[0])
        wait_until(survivor.serves, "two of three serve again")
        self.assertEqual(survivor.call("GET", "before"), b"1")

    def test_the_ready_file_has_the_pids_of_the_nodes(self):
        for node in self.cluster.nodes:
            self.assertTrue(is_alive(node.pid))
            self.assertTrue(os.path.samefile(f"/proc/{node.pid}/exe", program("bopd")))


class LateWrite(Case):
    """The kernel keeps a file locked until the last write of a killed process has landed. Here the test holds the lock of
    the segment to which such a write would go."""

    def setUp(self):
        self.cluster = self.use(HandCluster())
        self.follower = self.cluster.followers()[0]
        self.cluster.wait_for_leader().call("SET", "before", "kept")
        self.follower.kill()
        wait_until(lambda: not self.follower.alive(), "the follower is dead")
        shard = os.path.join(self.follower.directory, "data", "shard0")
        segments = sorted(name for name in os.listdir(shard) if name.endswith(".seg"))
        self.segment = open(os.path.join(shard, segments[0]), "r+b")
        self.addCleanup(self.segment.close)
        fcntl.flock(self.segment, fcntl.LOCK_EX)

    def test_a_node_waits_for_the_last_write_of_its_killed_predecessor(self):
        self.cluster.start_node(self.follower)
        name = os.path.basename(self.segment.name)
        wait_until(lambda: f"shard0/{name} is locked: waiting" in self.cluster.output(), "it logs that it waits")
        self.assertFalse(self.follower.ready())
        self.segment.close()
        wait_until(self.follower.ready, "it serves once the write has landed")
        self.assertIn(f"for the lock of shard0/{name}", self.cluster.output())
        self.assertEqual(self.follower.call("GET", "before"), b"kept")


if __name__ == "__main__":
    main()
