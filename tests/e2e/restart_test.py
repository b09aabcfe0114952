#!/usr/bin/env python3
"""Orderly stops and restarts."""

import os
import select
import signal
import tempfile
import threading

from harness.case import Case, main
from harness.dev import DevCluster
from harness.load import BenchLoad, HistoryLoad, UniqueLoad, elapsed_s
from harness.process import is_alive
from harness.resp import RespError, encode
from harness.waiting import wait_until

STOP_S = 5


class PipeliningClient:
    """Sends a pipeline, reads its replies, and sends the next, until the server closes the connection. After an error
    it waits a little and looks whether the connection is closed, as the pools of client libraries do."""

    def __init__(self, node, number):
        self.resp = node.client(20)
        self.key = f"pipelining {number}"
        self.depth = 1 + 3 * number
        self.replies = 0
        self.unanswered = 0
        self.errors = set()
        self.failure = None
        self.stopped = False
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def stop(self):
        self.stopped = True
        self.thread.join(30)
        self.resp.close()

    def _run(self):
        try:
            while not self.stopped and self._round():
                pass
        except OSError as error:
            self.failure = error

    def _round(self):
        commands = [("INCR", self.key) if i % 2 else ("GET", self.key) for i in range(self.depth)]
        self.unanswered = len(commands)
        self.resp.send(b"".join(encode(*command) for command in commands))
        refused = False
        for _ in commands:
            try:
                self.resp.reply()
            except RespError as error:
                refused = True
                self.errors.add(error.kind)
            self.unanswered -= 1
            self.replies += 1
        return not (refused and self._closed())

    def _closed(self):
        readable, _, _ = select.select([self.resp.socket], [], [], 0.01)
        return bool(readable) and not self.resp.socket.recv(1)


class Restart(Case):
    def test_rolling_restarts_under_load_lose_nothing_and_stay_linearizable(self):
        cluster = self.use(DevCluster())
        with HistoryLoad(cluster.nodes) as history, UniqueLoad(cluster.nodes) as load:
            for node in cluster.nodes:
                load.wait_for_progress(300)
                os.kill(node.pid, signal.SIGTERM)
                wait_until(lambda node=node: not node.alive(), f"{node} stops", STOP_S)
                load.wait_for_progress(300)
                cluster.restart(node)
            load.wait_for_progress(300)
        history.history.check(cluster.scratch)
        for node in cluster.nodes:
            self.assertEqual(load.missing(node), [])
        self.assertEqual(load.unknown() + history.unknown(), [])

    def test_rolling_restarts_under_a_native_load_leave_no_outcome_unknown(self):
        cluster = self.use(DevCluster())
        with BenchLoad(cluster, seconds=15) as bench:
            for node in cluster.nodes:
                bench.wait_for_progress(500)
                os.kill(node.pid, signal.SIGTERM)
                wait_until(lambda node=node: not node.alive(), f"{node} stops", STOP_S)
                cluster.restart(node)
            bench.wait_for_progress(500)
            self.assertEqual(bench.result()["errors_by_name"], {})

    def test_sigterm_under_load_stops_all_nodes_within_five_seconds_and_loses_nothing(self):
        cluster = self.use(DevCluster())
        with UniqueLoad(cluster.nodes) as load:
            load.wait_for_progress(1000)
            cluster.dev.signal(signal.SIGTERM)
            self.assertEqual(cluster.dev.wait(STOP_S, "bopd dev stops"), 0)
            load.stop()
        self.assertFalse([node for node in cluster.nodes if is_alive(node.pid)])
        cluster.start()
        for node in cluster.nodes:
            self.assertEqual(load.missing(node), [])

    def test_a_redis_client_of_a_stopping_node_gets_a_reply_to_every_command_before_the_connection_closes(self):
        cluster = self.use(DevCluster())
        node = cluster.nodes[0]
        clients = [PipeliningClient(node, number) for number in range(16)]
        try:
            for client in clients:
                wait_until(lambda client=client: client.replies > 50, "the client is served")
            os.kill(node.pid, signal.SIGTERM)
            for client in clients:
                client.thread.join(30)
                self.assertIsNone(client.failure)
                self.assertEqual(client.unanswered, 0)
                self.assertLessEqual(client.errors, {"CLUSTERDOWN"})
        finally:
            for client in clients:
                client.stop()
        wait_until(lambda: not node.alive(), "the node stops", STOP_S)

    def test_sigint_stops_like_sigterm(self):
        cluster = self.use(DevCluster(nodes=1))
        cluster.dev.signal(signal.SIGINT)
        self.assertEqual(cluster.dev.wait(STOP_S, "bopd dev stops"), 0)
        self.assertFalse(cluster.nodes[0].alive())

    def test_an_idle_client_does_not_delay_the_stop(self):
        cluster = self.use(DevCluster(nodes=1))
        node = cluster.nodes[0]
        with node.client() as client:
            self.assertEqual(client.call("PING"), "PONG")
            self.assertLess(elapsed_s(lambda: (cluster.dev.signal(signal.SIGTERM), cluster.dev.wait(STOP_S))), STOP_S)

    def test_a_cluster_of_one_node_serves_and_keeps_its_data(self):
        cluster = self.use(DevCluster(nodes=1))
        self.assertEqual(cluster.nodes[0].call("SET", "alone", "yes"), "OK")
        cluster.kill_all()
        cluster.start()
        self.assertEqual(cluster.nodes[0].call("GET", "alone"), b"yes")

    def test_a_restarted_cluster_keeps_its_identity_and_data(self):
        cluster = self.use(DevCluster())
        before = cluster.cluster_id
        cluster.dev.stop()
        cluster.start()
        self.assertEqual(cluster.cluster_id, before)

    def test_the_ready_file_appears_when_all_nodes_serve(self):
        cluster = self.use(DevCluster())
        for node in cluster.nodes:  # at once, without waiting for anything
            self.assertEqual(node.call("SET", f"at once {node.id}", "1"), "OK")
        self.assertEqual([node.id for node in cluster.nodes], [1, 2, 3])
        for node in cluster.nodes:
            port = cluster.base_port + 10 * (node.id - 1)
            self.assertEqual([node.native, node.resp, node.http, node.peer],
                             [f"127.0.0.1:{port + i}" for i in range(4)])

    def test_without_a_data_directory_nothing_is_left_behind(self):
        with tempfile.TemporaryDirectory(prefix="bop-e2e-") as folder:
            cluster = self.use(DevCluster(data=False, environment={"TMPDIR": folder}))
            directories = [node.directory for node in cluster.nodes]
            self.assertTrue(all(os.path.isdir(directory) for directory in directories))
            cluster.dev.stop()
            self.assertFalse([directory for directory in directories if os.path.exists(directory)])
            self.assertEqual(os.listdir(folder), [])

    def test_nodes_exit_when_bopd_dev_is_killed(self):
        cluster = self.use(DevCluster())
        cluster.dev.signal(signal.SIGKILL)
        for node in cluster.nodes:
            wait_until(lambda node=node: not node.alive(), f"{node} ends with its starter", 10)


if __name__ == "__main__":
    main()
