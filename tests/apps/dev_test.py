#!/usr/bin/env python3
"""bopd dev: a cluster on this machine."""

import os
import signal
import socket
import unittest
import urllib.request

from running import Case, Dev, alive, free_ports, wait_until


class BopdDev(Case):
    @staticmethod
    def files(directory):
        """The contents of all files in the directory, except the lock."""
        found = {}
        for folder, _, names in os.walk(directory):
            for name in sorted(set(names) - {"lock"}):
                with open(os.path.join(folder, name), "rb") as file:
                    found[os.path.join(folder, name)] = file.read()
        return found

    def bop(self, dev, *arguments, **options):
        return self.run_program("bop", "--endpoint", dev.nodes[0]["native"], *arguments, **options)

    def test_prints_its_nodes_and_their_addresses(self):
        dev = Dev(self, nodes=3, data=self.path("data"))
        self.assertRegex(dev.ready["cluster"], "^[0-9a-f]{32}$")
        for k, node in enumerate(dev.nodes, 1):
            port = dev.base_port + 10 * (k - 1)
            self.assertEqual(node["id"], k)
            self.assertEqual(node["dir"], self.path("data", str(k)))
            self.assertTrue(alive(node["pid"]))
            for offset, name in enumerate(("native", "resp", "http", "peer")):
                self.assertEqual(node[name], f"127.0.0.1:{port + offset}")
                socket.create_connection(("127.0.0.1", port + offset), 5).close()
            self.assertTrue(os.path.exists(os.path.join(node["dir"], "bopd.toml")))
        self.assertEqual(self.stop(dev.process), 0)
        out, _ = dev.process.communicate()
        self.assertIn("redis-cli -p", out.decode())
        for node in dev.nodes:
            self.assertFalse(alive(node["pid"]))

    def test_removes_its_temporary_directory(self):
        for stop in (signal.SIGTERM, signal.SIGINT):
            dev = Dev(self)
            directory = os.path.dirname(dev.nodes[0]["dir"])
            self.assertTrue(os.path.exists(directory))
            dev.process.send_signal(stop)
            self.assertEqual(dev.process.wait(10), 0)
            self.assertFalse(os.path.exists(directory))
            self.assertFalse(os.path.exists(dev.ready_file))

    def test_does_not_restart_a_dead_node_which_can_be_started_by_hand(self):
        dev = Dev(self, nodes=3, data=self.path("data"))
        victim = dev.nodes[2]
        os.kill(victim["pid"], signal.SIGKILL)
        wait_until(lambda: not alive(victim["pid"]), "the node is dead")

        def taken():  # it may have been the leader: the outcome of a write in flight is unknown
            try:
                self.bop(dev, "put", "key", "value")
                return True
            except AssertionError:
                return False
        wait_until(taken, "two of three go on")
        raised = self.start("start", "--config", os.path.join(victim["dir"], "bopd.toml"))

        def serves():
            self.assertIsNone(raised.poll())
            try:
                out, _ = self.run_program("bop", "--endpoint", victim["native"], "get", "key")
                return out == b"value"
            except AssertionError:
                return False
        wait_until(serves, "the node serves again")
        self.assertEqual(self.stop(dev.process), 0)
        self.assertEqual(self.stop(raised), 0)

    def test_continues_with_an_existing_cluster(self):
        dev = Dev(self, nodes=3, data=self.path("data"))
        cluster = dev.ready["cluster"]
        self.bop(dev, "put", "kept", "for ever")
        self.assertEqual(self.stop(dev.process), 0)
        again = Dev(self, nodes=3, data=self.path("data"))  # on other ports
        self.assertEqual(again.ready["cluster"], cluster)
        out, _ = self.bop(again, "get", "kept")
        self.assertEqual(out, b"for ever")
        self.assertEqual(self.stop(again.process), 0)

    def test_refuses_an_existing_cluster_of_another_size_and_changes_nothing(self):
        dev = Dev(self, nodes=1, data=self.path("data"))
        self.bop(dev, "put", "kept", "for ever")
        self.assertEqual(self.stop(dev.process), 0)
        before = self.files(self.path("data"))
        _, error = self.bopd("dev", "--nodes", 3, "--data", self.path("data"), "--base-port", free_ports(30), code=2)
        self.assertIn("contains a cluster of 1 nodes, not 3", error)
        self.assertEqual(self.files(self.path("data")), before)
        again = Dev(self, nodes=1, data=self.path("data"))
        out, _ = self.bop(again, "get", "kept")
        self.assertEqual(out, b"for ever")

    def test_names_an_empty_configuration_file_which_a_power_failure_left(self):
        os.makedirs(self.path("data", "1"))
        self.write("data/1/bopd.toml", "")
        _, error = self.bopd("dev", "--nodes", 1, "--data", self.path("data"), "--base-port", free_ports(10), code=2)
        self.assertIn("data/1/bopd.toml lists no nodes", error)
        self.assertIn("remove it and start again", error)
        os.remove(self.path("data", "1", "bopd.toml"))
        self.assertEqual(self.stop(Dev(self, nodes=1, data=self.path("data")).process), 0)

    def test_writes_an_empty_configuration_file_again_if_another_node_has_one(self):
        dev = Dev(self, nodes=2, data=self.path("data"))
        self.bop(dev, "put", "kept", "for ever")
        self.assertEqual(self.stop(dev.process), 0)
        self.write("data/1/bopd.toml", "")
        again = Dev(self, nodes=2, data=self.path("data"))
        self.assertEqual(again.ready["cluster"], dev.ready["cluster"])
        self.assertEqual(self.bop(again, "get", "kept")[0], b"for ever")
        self.assertEqual(self.stop(again.process), 0)

    def test_changes_nothing_when_a_directory_is_of_a_newer_format(self):
        dev = Dev(self, nodes=2, data=self.path("data"))
        self.assertEqual(self.stop(dev.process), 0)
        with open(self.path("data/2/format"), "r+b") as file:
            file.seek(8)
            file.write(b"\xff")
        before = self.files(self.path("data"))
        _, error = self.bopd("dev", "--nodes", 2, "--data", self.path("data"), "--base-port", free_ports(20), code=1)
        self.assertIn("/2/format", error)
        self.assertEqual(self.files(self.path("data")), before)

    def test_reports_at_once_a_ready_file_that_cannot_be_written(self):
        _, error = self.bopd("dev", "--data", self.path("data"), "--base-port", free_ports(10), "--ready-file",
                             self.path("nowhere/ready"), code=3)
        self.assertIn("nowhere/ready cannot be written", error)
        self.assertFalse(os.path.exists(self.path("data")))

    def test_is_ready_when_every_node_has_caught_up(self):
        dev = Dev(self, nodes=3, data=self.path("data"))
        self.bop(dev, "bench", "kv", "--keys", 30000, "--size", 256, "--clients", 8, "--pipeline", 16, "--time", 0.1)
        self.assertEqual(self.stop(dev.process), 0)
        again = Dev(self, nodes=3, data=self.path("data"))
        for node in again.ready["nodes"]:
            with urllib.request.urlopen(f"http://{node['http']}/readyz", timeout=60) as reply:
                self.assertEqual(reply.status, 200)

    def test_names_a_port_in_use(self):
        port = free_ports(20)
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a connection may be in TIME_WAIT
            taken.bind(("127.0.0.1", port + 12))
            taken.listen()
            _, error = self.bopd("dev", "--nodes", 2, "--base-port", port, "--data", self.path("data"), code=3)
        self.assertIn(f"127.0.0.1:{port + 12}", error)
        self.assertIn("BOP_E_ADDRESS_IN_USE", error)
        self.assertFalse(os.path.exists(self.path("data")))

    def test_its_nodes_exit_when_it_is_killed(self):
        dev = Dev(self, nodes=3, data=self.path("data"))
        dev.process.kill()
        dev.process.wait()
        for node in dev.nodes:
            wait_until(lambda pid=node["pid"]: not alive(pid), "the node is dead")

    def test_stops_nodes_that_are_paused(self):
        dev = Dev(self, nodes=3)
        os.kill(dev.nodes[1]["pid"], signal.SIGSTOP)
        self.assertEqual(self.stop(dev.process, 15), 0)
        self.assertFalse(alive(dev.nodes[1]["pid"]))

    def test_passes_settings_but_no_environment_to_every_node(self):
        os.environ["BOP_NODE_ID"] = "9"  # must not override the ids of the nodes
        self.addCleanup(os.environ.pop, "BOP_NODE_ID")
        dev = Dev(self, nodes=2, data=self.path("data"), more=["--set=limits.connections=77"])
        for node in dev.nodes:
            with open(os.path.join(node["dir"], "bopd.toml"), encoding="utf-8") as file:
                self.assertIn("connections = 77", file.read())


if __name__ == "__main__":
    unittest.main()
