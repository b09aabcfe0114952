#!/usr/bin/env python3
"""Groups that share a shard's log: one that fills its share is refused alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

from harness.case import Case, main
from harness.hand import HandCluster
from harness.process import program, run
from harness.resp import RespError
from harness.waiting import wait_until

MIB = 1 << 20
LOG = 16 * MIB
LOAD = 6 * LOG
VALUE = b"v" * 60_000
PUTS_OF_B = 2 * LOG // len(VALUE)  # more than the log holds, as well


class TwoOfThree(HandCluster):
    """Node 3 hosts a replica of group b without being one of its voters, so it is never ready."""

    def wait_until_ready(self, nodes=None):
        super().wait_until_ready(nodes or self.nodes[:2])


class Quota(Case):
    """Groups a (nodes 1, 2 and 3) and b (nodes 1 and 2) on one shard; node 3 is dead, so a's log only grows."""

    def setUp(self):
        self.cluster = self.use(TwoOfThree(settings={
            "groups": '[{name = "a", id = 1}, {name = "b", id = 2, voters = [1, 2]}]',
            "log.segment_bytes": 2 * MIB, "log.max_bytes": LOG}))
        self.away = self.cluster.node(3)
        self.away.kill()
        self.left = [node for node in self.cluster.nodes if node is not self.away]
        wait_until(lambda: all(node.group(name)["leader"] not in (None, 3) for node in self.left for name in "ab"),
                   "both groups have a leader that lives")
        self.leader = self.cluster.node(self.left[0].group("a")["leader"])

    def load(self, stop):
        """Offers group a far more than its log holds, and more until `stop`; returns how many writes were taken and
        refused."""
        taken = refused = 0
        with self.leader.client(30) as client:
            while not stop.is_set() or (taken + refused) * len(VALUE) < LOAD:
                try:
                    client.call("SET", f"key {taken % 50}", VALUE)
                    taken += 1
                except RespError as error:
                    self.assertIn(error.kind, ("LOGFULL", "UNKNOWNOUTCOME"), error)
                    refused += 1
                    stop.wait(0.001)  # leaves the processor to group b
        return taken, refused

    def put_b(self, number):
        run([program("bop"), "--endpoint", ",".join(node.native for node in self.left), "--group", "b", "put",
             f"key {number % 20}", "-"], input="w" * len(VALUE))

    def test_a_group_whose_entries_cannot_be_released_does_not_stop_another(self):
        stop = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            loader = pool.submit(self.load, stop)
            try:
                for number in range(PUTS_OF_B):
                    self.put_b(number)
            finally:
                stop.set()
            taken, refused = loader.result()
        self.assertGreater(refused, 0, f"group a was never full: {taken} writes were taken")
        self.assertLess(taken * len(VALUE), LOG)

        self.cluster.start_node(self.away)
        def taken_again():
            try:
                with self.leader.client(30) as client:
                    return client.call("SET", "one more", VALUE)
            except RespError:
                return None
        wait_until(taken_again, "group a takes writes again once node 3 is back")


if __name__ == "__main__":
    main()
