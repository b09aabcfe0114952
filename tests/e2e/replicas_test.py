#!/usr/bin/env python3
"""Replicas that applied the same entries have the same state."""

from harness.case import Case, main
from harness.dev import DevCluster
from harness.load import HistoryLoad
from harness.process import program, run
from harness.waiting import wait_until

LEAST_ENTRIES = 4200  # more than the interval of recorded hashes, 4,096


class Replicas(Case):
    def load(self, cluster):
        """Mixed operations, and enough writes for memtables to be flushed in the meantime."""
        with HistoryLoad(cluster.nodes) as history:
            run([program("bop"), "--endpoint", cluster.endpoints(), "bench", "kv", "--clients", "16", "--pipeline",
                 "4", "--keys", "3000", "--read-ratio", "0.2", "--time", "2"])
            history.wait_for_progress(200)
            last = cluster.wait_for_leader().group()["last_index"]
            wait_until(lambda: cluster.wait_for_leader().group()["last_index"] >= last + LEAST_ENTRIES,
                       f"{LEAST_ENTRIES} more entries")

    def check_hashes(self, cluster):
        """Whether all nodes report the same hash, at the index of the last entry."""
        applied = cluster.wait_until_equal()
        def told():
            hashes = [node.group()["state_hash"] for node in cluster.nodes]
            return hashes if all(hash and hash["index"] == applied for hash in hashes) else None
        hashes = wait_until(told, f"all replicas tell the hash at index {applied}")
        self.assertEqual(len({hash["hash"] for hash in hashes}), 1, hashes)
        return hashes[0]["hash"]

    def test_all_replicas_have_one_state_hash_after_a_mixed_load_a_kill_and_a_restart(self):
        cluster = self.use(DevCluster())
        self.load(cluster)
        first = self.check_hashes(cluster)

        leader = cluster.wait_for_leader()
        leader.kill()
        cluster.wait_for_leader(other_than=leader)
        cluster.restart(leader)
        self.load(cluster)
        self.assertNotEqual(self.check_hashes(cluster), first)


if __name__ == "__main__":
    main()
