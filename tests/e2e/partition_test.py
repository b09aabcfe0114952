#!/usr/bin/env python3
"""The network between nodes is cut in one or both directions, slowed and severed."""

from harness.case import Case, main
from harness.hand import HandCluster
from harness.load import BenchLoad, HistoryLoad, UniqueLoad
from harness.waiting import wait_until


class Partition(Case):
    def setUp(self):
        self.cluster = self.use(HandCluster())
        self.network = self.cluster.network

    def rest(self, node):
        return [other for other in self.cluster.nodes if other is not node]

    def follows(self, node):
        group = node.group()
        return group is not None and group["role"] != "leader"

    def test_an_isolated_leader_is_replaced_and_answers_nothing(self):
        leader = self.cluster.wait_for_leader()
        self.assertEqual(leader.call("SET", "who", "old"), "OK")
        self.cluster.isolate(leader)
        successor = self.cluster.wait_for_leader_among(self.rest(leader))
        self.assertEqual(successor.call("SET", "who", "new"), "OK")
        self.assertFalse(leader.serves())
        wait_until(lambda: self.follows(leader), "a leader that hears nobody steps down")
        self.network.heal()
        wait_until(leader.serves, "it serves again when the network does")
        self.assertEqual(leader.call("GET", "who"), b"new")

    def test_histories_are_linearizable_while_nodes_are_isolated_in_turn(self):
        with HistoryLoad(self.cluster.nodes, timeout_s=3) as load:
            for node in (self.cluster.wait_for_leader(), *self.cluster.nodes[:2]):
                load.wait_for_progress(300)
                self.cluster.isolate(node)
                self.cluster.wait_for_leader_among(self.rest(node))
                load.wait_for_progress(300)
                self.network.heal()
                wait_until(node.serves, f"{node} serves again")
        load.history.check(self.cluster.scratch)

    def test_bop_bench_misses_nothing_when_the_leader_is_isolated(self):
        with BenchLoad(self.cluster) as bench:
            bench.wait_for_progress(3000)
            leader = self.cluster.wait_for_leader()
            self.cluster.isolate(leader)
            self.cluster.wait_for_leader_among(self.rest(leader))
            bench.wait_for_progress(1000)
            self.network.heal()
            self.assertGreater(bench.result()["acked"], 4000)
        self.cluster.wait_until_equal()

    def test_an_isolated_follower_does_not_depose_the_leader_when_it_returns(self):
        follower = self.cluster.followers()[0]
        term = self.cluster.wait_for_leader().group()["term"]
        self.cluster.isolate(follower)
        with UniqueLoad(self.rest(follower)) as load:
            load.wait_for_progress(500)
            wait_until(lambda: follower.group()["role"] == "candidate" or follower.group()["leader"] is None,
                       "the follower misses its leader")
            load.wait_for_progress(500)
        self.network.heal()
        self.cluster.wait_until_equal()
        self.assertEqual(self.cluster.wait_for_leader().group()["term"], term)
        self.assertEqual(load.missing(follower), [])

    def test_a_leader_that_can_send_but_not_receive_steps_down(self):
        leader = self.cluster.wait_for_leader()
        with UniqueLoad(self.rest(leader)) as load:
            load.wait_for_progress(200)
            for other in self.cluster.others(leader):
                self.network.cut(other, leader.id)
            self.cluster.wait_for_leader_among(self.rest(leader))
            load.wait_for_progress(200)
            self.network.heal()
            wait_until(leader.serves, "it serves again")
        self.assertEqual(load.missing(leader), [])

    def test_a_leader_that_can_receive_but_not_send_is_replaced(self):
        leader = self.cluster.wait_for_leader()
        with UniqueLoad(self.rest(leader)) as load:
            load.wait_for_progress(200)
            for other in self.cluster.others(leader):
                self.network.cut(leader.id, other)
            self.cluster.wait_for_leader_among(self.rest(leader))
            load.wait_for_progress(200)
            self.network.heal()
            wait_until(leader.serves, "it serves again")
        self.assertEqual(load.missing(leader), [])

    def test_writes_succeed_while_two_followers_cannot_reach_each_other(self):
        one, other = self.cluster.followers()
        self.network.sever(one.id, other.id)
        with UniqueLoad(self.cluster.nodes) as load:
            load.wait_for_progress(1000)
        self.assertEqual(load.missing(one), [])
        self.assertEqual(load.missing(other), [])

    def test_reset_connections_are_reopened(self):
        with UniqueLoad(self.cluster.nodes) as load:
            for _ in range(3):
                load.wait_for_progress(200)
                for one in self.cluster.nodes:
                    for other in self.rest(one):
                        self.network.sever(one.id, other.id)
                self.network.heal()
            load.wait_for_progress(500)
        for node in self.cluster.nodes:
            self.assertEqual(load.missing(node), [])

    def test_a_slow_network_delays_requests_and_fails_none(self):
        for one in self.cluster.nodes:
            for other in self.rest(one):
                self.network.delay(one.id, other.id, 0.05)
        leader = self.cluster.wait_for_leader()
        term = leader.group()["term"]
        with HistoryLoad(self.cluster.nodes) as load:
            load.wait_for_progress(150)
        load.history.check(self.cluster.scratch)
        self.assertEqual(self.cluster.wait_for_leader().group()["term"], term, "the delay deposed the leader")


if __name__ == "__main__":
    main()
