#!/usr/bin/env python3
"""Replicas that applied the same entries are in the same state."""

from harness.case import Case, main
from harness.dev import DevCluster
from harness.load import HistoryLoad
from harness.process import program, run
from harness.waiting import wait_until

HASH_EVERY = 4096  # indexes


class Replicas(Case):
    def hashes(self, cluster):
        """{index: {hash, ...}} of what the nodes say now."""
        found = {}
        for node in cluster.nodes:
            said = (node.group() or {}).get("state_hash")
            if said:
                found.setdefault(said["index"], set()).add(said["hash"])
        return found

    def load(self, cluster, seconds):
        with HistoryLoad(cluster.nodes) as history:
            run([program("bop"), "--endpoint", cluster.endpoints(), "bench", "kv", "--clients", "16", "--pipeline",
                 "4", "--keys", "3000", "--read-ratio", "0.2", "--time", str(seconds)])
        return history

    def equal_hash(self, cluster, least):
        def same():
            found = self.hashes(cluster)
            return len(found) == 1 and min(found) >= least and found
        index, hashes = wait_until(same, "all replicas tell a hash of the same index").popitem()
        self.assertEqual(index % HASH_EVERY, 0)
        self.assertEqual(len(hashes), 1, f"replicas differ at index {index}: {hashes}")
        return index

    def test_all_replicas_have_one_state_hash_after_a_mixed_load_a_kill_and_a_restart(self):
        cluster = self.use(DevCluster())
        self.load(cluster, 2)
        last = cluster.wait_until_equal()
        self.assertGreater(last, HASH_EVERY)
        first = self.equal_hash(cluster, 1)

        leader = cluster.wait_for_leader()
        leader.kill()
        cluster.wait_for_leader(other_than=leader)
        cluster.restart(leader)
        self.load(cluster, 2)
        cluster.wait_until_equal()
        self.assertGreater(self.equal_hash(cluster, first + 1), first)


if __name__ == "__main__":
    main()
