#!/usr/bin/env python3
"""The commands of a connection that does not wait for its replies take effect in order while leaders change."""

import collections
import os
import signal
import threading
import time

from harness.case import Case, main
from harness.hand import HandCluster
from harness.resp import RespError, encode
from harness.waiting import wait_until

BURST = 4
WINDOW = 400  # commands without a reply


class Pipeline(threading.Thread):
    """One connection, which appends numbers to a key. It sends the next burst while earlier ones are unanswered."""

    def __init__(self, node, key):
        super().__init__()
        self.node, self.key = node, key
        self.sent, self.answered, self.taken = 0, 0, []
        self.refused = collections.Counter()
        self.ended = False
        self.error = None

    def run(self):
        try:
            with self.node.client(60) as client:
                while not self.ended:
                    self._send(client)
                    if self.sent > WINDOW:
                        self._read(client, BURST)
                self._read(client, self.sent - self.answered)
        except BaseException as error:  # the test reports it
            self.error = error

    def _send(self, client):
        numbers = range(self.sent + 1, self.sent + 1 + BURST)
        self.sent += BURST
        client.send(b"".join(encode("APPEND", self.key, f"{number},") for number in numbers))
        time.sleep(0.002)  # bursts before, during and after each change

    def _read(self, client, count):
        for _ in range(count):
            self.answered += 1
            try:
                client.reply()
            except RespError as refused:
                self.refused[refused.kind] += 1
                continue
            self.taken.append(self.answered)


class Order(Case):
    def test_appends_of_pipelined_connections_are_in_order_after_each_change_of_the_leader(self):
        cluster = self.use(HandCluster())
        leader = cluster.wait_for_leader()
        followers = [node for node in cluster.nodes if node is not leader]
        # Each on a node that keeps running: the one that is stopped is always the leader.
        pipelines = [Pipeline(followers[number % 2], f"order {number}") for number in range(6)]
        for pipeline in pipelines:
            pipeline.start()
        changes = 0
        end = time.monotonic() + 40
        while changes < 8 and time.monotonic() < end:
            leading = cluster.wait_for_leader()
            before = [len(pipeline.taken) for pipeline in pipelines]
            os.kill(leading.pid, signal.SIGSTOP)
            successor = cluster.wait_for_leader_among([node for node in cluster.nodes if node is not leading])
            changes += 1
            wait_until(lambda: any(len(p.taken) > b for p, b in zip(pipelines, before)), "writes go on")
            os.kill(leading.pid, signal.SIGCONT)
            wait_until(leading.ready, f"{leading} is ready again, after {successor} led")
        for pipeline in pipelines:
            pipeline.ended = True
        for pipeline in pipelines:
            pipeline.join(60)
            self.assertIsNone(pipeline.error)
        for pipeline in pipelines:
            found = [int(number) for number in cluster.nodes[0].call("GET", pipeline.key).split(b",")[:-1]]
            self.assertEqual(found, sorted(set(found)), f"{pipeline.key} is out of order, or has repetitions")
            self.assertLessEqual(set(pipeline.taken), set(found), "an acknowledged command is missing")
            self.assertGreater(len(found), 0)
        print(f"{changes} changes of the leader, {sum(len(p.taken) for p in pipelines)} commands acknowledged of "
              f"{sum(p.sent for p in pipelines)}, refused: {dict(sum((p.refused for p in pipelines), collections.Counter()))}")


if __name__ == "__main__":
    main()
