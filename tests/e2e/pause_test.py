#!/usr/bin/env python3
"""SIGSTOP and SIGCONT: a resumed node has outdated beliefs about the cluster."""

from harness.case import Case, main
from harness.dev import DevCluster
from harness.load import BenchLoad, HistoryLoad, UniqueLoad
from harness.resp import RespError
from harness.waiting import wait_until


class Pause(Case):
    def setUp(self):
        self.cluster = self.use(DevCluster())

    def followed(self, node):
        group = node.group()
        return group is not None and group["role"] == "follower"

    def test_a_paused_leader_is_replaced_and_resumes_as_a_follower(self):
        leader = self.cluster.wait_for_leader()
        others = [node for node in self.cluster.nodes if node is not leader]
        with HistoryLoad(self.cluster.nodes, timeout_s=3) as load:
            load.wait_for_progress(500)
            leader.pause()
            self.cluster.wait_for_leader(other_than=leader)
            load.wait_for_progress(500)
            leader.resume()
            wait_until(lambda: self.followed(leader), "the old leader follows")
            wait_until(leader.serves, "the old leader serves again")
            load.wait_for_progress(500)
        load.history.check(self.cluster.scratch)
        self.assertTrue(all(node.alive() for node in [leader, *others]))

    def test_bop_bench_misses_nothing_when_the_leader_is_paused(self):
        with BenchLoad(self.cluster) as bench:
            bench.wait_for_progress(3000)
            leader = self.cluster.wait_for_leader()
            leader.pause()
            self.cluster.wait_for_leader_among([node for node in self.cluster.nodes if node is not leader])
            leader.resume()
            bench.wait_for_progress(1000)
            self.assertGreater(bench.result()["acked"], 4000)

    def test_a_resumed_leader_never_serves_stale_reads(self):
        leader = self.cluster.wait_for_leader()
        self.assertEqual(leader.call("SET", "who", "old"), "OK")
        with leader.client(30) as sleeper:  # connected while it was the leader
            leader.pause()
            successor = self.cluster.wait_for_leader(other_than=leader)
            self.assertEqual(successor.call("SET", "who", "new"), "OK")
            # The request is in its socket when it resumes, before it can receive anything from its peers.
            sleeper.send(b"*2\r\n$3\r\nGET\r\n$3\r\nwho\r\n")
            leader.resume()
            self.assertIn(self.reply_or_refusal(sleeper), (b"new", "CLUSTERDOWN"))

    @staticmethod
    def reply_or_refusal(client):
        try:
            return client.reply()
        except RespError as error:
            return error.kind

    def test_a_paused_follower_does_not_stop_writes_and_catches_up(self):
        follower = self.cluster.followers()[0]
        others = [node for node in self.cluster.nodes if node is not follower]
        term = self.cluster.wait_for_leader().group()["term"]
        with UniqueLoad(others) as load:
            follower.pause()
            load.wait_for_progress(3000)
            follower.resume()
        self.cluster.wait_until_equal()
        self.assertEqual(load.missing(follower), [])
        self.assertEqual(self.cluster.wait_for_leader().group()["term"], term, "its waking deposed the leader")

    def test_a_cluster_serves_after_all_nodes_were_paused(self):
        with UniqueLoad(self.cluster.nodes) as load:
            load.wait_for_progress(500)
            for node in self.cluster.nodes:
                node.pause()
            for node in self.cluster.nodes:
                node.resume()
            load.wait_for_progress(500)
        self.assertEqual(load.missing(self.cluster.wait_for_leader()), [])


if __name__ == "__main__":
    main()
