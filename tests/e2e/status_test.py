#!/usr/bin/env python3
"""Faults of a node or its cluster appear in /v1/status, /readyz, the log and /metrics."""

import os
import shutil

from harness.case import Case, main
from harness.hand import HandCluster
from harness.node import Node
from harness.ports import HOST, free_block, is_free
from harness.process import program, run
from harness.status import conditions, metric
from harness.waiting import wait_until


def end(node):
    """Kills a node with SIGKILL and waits until its ports are free."""
    node.kill()
    wait_until(lambda: not node.alive(), f"{node} is dead")
    ports = [int(address.rpartition(":")[2]) for address in (node.native, node.resp, node.http, node.listen_peer)]
    wait_until(lambda: all(map(is_free, ports)), f"the ports of {node} are free")


class Status(Case):
    def log_of(self, cluster, node):
        texts = [p.text() for p in cluster.processes if os.path.basename(p.log).endswith(f"-node{node.id}.log")]
        return "\n".join(texts)

    def test_each_node_shows_all_nodes_with_address_version_uptime_and_lag(self):
        cluster = self.use(HandCluster())
        cluster.node(1).call("SET", "k", "v")
        for node in cluster.nodes:
            def complete(node=node):
                nodes = (node.status() or {}).get("nodes", [])
                roles = [g["role"] for n in nodes for g in n["groups"]]
                return nodes if len(roles) == 3 and roles.count("leader") == 1 else None
            nodes = wait_until(complete, f"{node} knows the others")
            self.assertEqual([n["id"] for n in nodes], [1, 2, 3])
            for known, other in zip(nodes, cluster.nodes):
                self.assertEqual(known["self"], other is node)
                self.assertEqual(known["address"], other.peer)
                self.assertEqual(known["native"], other.native)
                self.assertEqual(known["version"], node.status()["version"])
                self.assertIsInstance(known["uptime_s"], int)
                self.assertEqual(known["groups"][0]["name"], "kv")
            wait_until(lambda node=node: all(n["health"] == "ok" and n["groups"][0]["lag"] == 0
                                             for n in node.status()["nodes"]), "all nodes are well")
            wait_until(lambda node=node: (node.group()["state_hashes"] or {}).get("nodes") == [1, 2, 3],
                       "the state hashes of all nodes are known at one index")
            self.assertEqual(node.group()["state_hashes"]["verdict"], "equal")

    def test_a_lost_quorum_is_reported_everywhere_until_it_returns(self):
        cluster = self.use(HandCluster())
        first = cluster.node(1)
        for node in cluster.nodes[1:]:
            node.kill()
        wait_until(lambda: "quorum_lost" in conditions(first), "node 1 says that the quorum is lost")
        found = conditions(first)["quorum_lost"]
        self.assertEqual((found["group"], found["blocks"]), ("kv", True))
        self.assertIn("nodes 2, 3", found["detail"])
        self.assertIn("alone", conditions(first))
        code, body = first.ask("GET", "/readyz")
        self.assertEqual(code, 503)
        self.assertIn("quorum_lost: group kv: 1 of 3 voters are heard", body.decode())
        self.assertFalse(first.status()["ready"])
        self.assertEqual([n["health"] for n in first.status()["nodes"]],
                         ["failing", "unreachable", "unreachable"])
        self.assertEqual(metric(first, 'bop_condition{condition="quorum_lost"}'), 1)
        self.assertEqual(metric(first, "bop_node_ready"), 0)
        wait_until(lambda: "quorum_lost: group kv: 1 of 3" in self.log_of(cluster, first), "the log says so")
        for node in cluster.nodes[1:]:
            end(node)
            cluster.start_node(node)
        wait_until(lambda: first.ready() and not conditions(first), "all is well again")
        self.assertEqual(metric(first, 'bop_condition{condition="quorum_lost"}'), 0)
        wait_until(lambda: "quorum_lost: group kv: over" in self.log_of(cluster, first), "the log says so")

    def test_a_reformatted_node_and_its_peers_report_why_it_is_refused(self):
        cluster = self.use(HandCluster())
        for number in (1, 3):  # one that connects first, and one that is connected to
            node = cluster.node(number)
            end(node)
            kept = os.path.join(node.directory, "kept")
            os.rename(os.path.join(node.directory, "data"), kept)
            run([program("bopd"), "format", "--config", node.configuration])
            cluster.start_node(node)
            wait_until(lambda node=node: "locked_out" in conditions(node), f"{node} says that it is locked out")
            self.assertIn("WRONG_INCARNATION", conditions(node)["locked_out"]["detail"])
            self.assertEqual(node.ask("GET", "/readyz")[0], 503)
            self.assertIn("locked_out", node.ask("GET", "/readyz")[1].decode())
            end(node)
            shutil.rmtree(os.path.join(node.directory, "data"))
            os.rename(kept, os.path.join(node.directory, "data"))
            cluster.start_node(node)
            wait_until(lambda node=node: node.ready() and not conditions(node), f"{node} is back")

    def test_two_processes_with_one_identity_are_reported_by_name_on_all_sides(self):
        cluster = self.use(HandCluster())
        second = cluster.node(2)
        end(second)
        ports = free_block(4)
        copy = Node(2, 0, second.directory + "-copy", *[f"{HOST}:{ports + i}" for i in range(4)])
        shutil.copytree(second.directory, copy.directory)
        with open(copy.configuration, encoding="utf-8") as file:
            text = file.read()
        for old, new in ((second.native, copy.native), (second.resp, copy.resp), (second.http, copy.http),
                         (second.listen_peer, copy.listen_peer)):
            text = text.replace(f'= "{old}"', f'= "{new}"')
        with open(copy.configuration, "w", encoding="utf-8") as file:
            file.write(text)
        cluster.start_node(second)
        wait_until(second.ready, "node 2 is back")
        copy.pid = cluster.start_process("copy", [program("bopd"), "start", "--config", copy.configuration]).pid
        cluster.nodes.append(copy)
        for node, name in ((cluster.node(1), "peer_identity_in_use"), (cluster.node(3), "peer_identity_in_use"),
                           (second, "identity_in_use"), (copy, "identity_in_use")):
            wait_until(lambda node=node, name=name: name in conditions(node), f"{node} reports {name}")
        self.assertEqual(copy.ask("GET", "/readyz")[0], 503)
        self.assertIn("DIRECTORY_IN_USE", conditions(copy)["identity_in_use"]["detail"])
        wait_until(lambda: "locked_out" in conditions(copy), "the copy is locked out")
        # The first process continues and stays ready, and its connections stay up.
        self.assertNotIn("locked_out", conditions(second))
        self.assertEqual(second.ask("GET", "/readyz")[0], 200)
        for node in (cluster.node(1), cluster.node(3)):
            self.assertEqual(metric(node, 'bop_peer_up{peer="2"}'), 1)
            before = metric(node, 'bop_peer_connects_total{peer="2"}')
            refused = metric(node, 'bop_peer_second_process_total{peer="2"}')
            wait_until(lambda node=node, refused=refused:
                       metric(node, 'bop_peer_second_process_total{peer="2"}') > refused + 3, "it goes on trying")
            self.assertEqual(metric(node, 'bop_peer_connects_total{peer="2"}'), before)
        self.assertEqual(second.call("SET", "k", "v"), "OK")
        copy.kill()
        wait_until(lambda: not conditions(second) and second.ready(), "node 2 is well again")
        cluster.nodes.remove(copy)

    def restart_elsewhere(self, cluster, nodes):
        """Restarts nodes on other ports, of which no other node's configuration knows. No proxy leads there."""
        for node in nodes:
            end(node)
        for node in nodes:
            ports = free_block(4)
            moved = [f"{HOST}:{ports + i}" for i in range(4)]
            with open(node.configuration, encoding="utf-8") as file:
                text = file.read()
            text = text.replace(f'listen.peer = "{node.listen_peer}"', f'listen.peer = "{moved[3]}"')
            for old, new in zip((node.native, node.resp, node.http, node.peer), moved):
                text = text.replace(f'"{old}"', f'"{new}"')
            with open(node.configuration, "w", encoding="utf-8") as file:
                file.write(text)
            node.native, node.resp, node.http, node.peer = moved
            node.listen_peer = node.peer
            cluster.start_node(node)

    def wait_until_known(self, cluster):
        """Until all nodes serve and show where the others are by now."""
        cluster.wait_until_ready()
        for node in cluster.nodes:
            def known(node=node):
                addresses = {n["id"]: n["address"] for n in (node.status() or {"nodes": []})["nodes"]
                             if n["health"] == "ok"}
                return addresses == {n.id: n.peer for n in cluster.nodes}
            wait_until(known, f"{node} hears all nodes and shows their addresses")

    def move(self, *numbers):
        cluster = self.use(HandCluster())
        moved = [cluster.node(number) for number in numbers]
        self.restart_elsewhere(cluster, moved)
        self.wait_until_known(cluster)
        return cluster, moved

    def test_the_node_with_the_lowest_id_is_found_when_it_restarts_on_other_ports(self):
        self.move(1)

    def test_the_node_with_the_highest_id_is_found_when_it_restarts_on_other_ports(self):
        self.move(3)

    def test_two_nodes_that_restart_on_other_ports_at_once_find_each_other_through_the_third(self):
        cluster, moved = self.move(1, 3)
        # And again by themselves: the third told them, and is gone.
        end(cluster.node(2))
        leader = cluster.wait_for_leader_among(moved)
        self.assertEqual(leader.call("SET", "k", "v"), "OK")
        wait_until(lambda: any("is not at its configured address" in self.log_of(cluster, node) for node in moved),
                   "the one that called logs that its configuration is out of date")


if __name__ == "__main__":
    main()
