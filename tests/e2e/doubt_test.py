#!/usr/bin/env python3
"""A replica that may have lost acknowledged data does not count and reports the reason; the other nodes serve."""

import json
import os
import shutil
import subprocess

from harness.case import Case, main
from harness.dev import DevCluster
from harness.process import program, run
from harness.resp import RespError
from harness.waiting import wait_until

OTHER_GROUPS = '--set=groups=[{name = "kv", id = 1}, {name = "more", id = 2}]'


class InDoubt(Case):
    def setUp(self):
        self.cluster = self.use(DevCluster())
        leader = self.cluster.wait_for_leader()
        for number in range(50):
            leader.call("SET", f"before {number}", "kept")
        self.cluster.wait_until_equal()
        self.cluster.dev.stop()

    @property
    def out(self):
        """The node that loses data. Of the others, one connects to it, and it connects to the other."""
        return self.cluster.nodes[1]

    @property
    def others(self):
        return [self.cluster.nodes[0], self.cluster.nodes[2]]

    def start(self):
        """Restarts the cluster and returns what `bopd dev` reports about the node."""
        self.cluster.start()
        return self.cluster.dev.text()

    def serve_without_it(self):
        terms = [node.group()["term"] for node in self.others]
        for node in self.others:
            for number in range(100):
                node.call("SET", f"by {node.id}, {number}", "kept")
            self.assertEqual(node.call("GET", "before 7"), b"kept")
            wait_until(node.ready, f"{node} is ready")
        self.assertEqual([node.group()["term"] for node in self.others], terms)
        self.assertFalse(self.out.ready())
        self.assertIsNone(self.out.group()["leader"])

    # ---- a damaged log ----

    def inspect(self, *options):
        done = run([program("bop"), *options, "log", "inspect", self.out.directory], check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return done

    def items(self):
        return json.loads(self.inspect("-o", "json").stdout)

    def damage(self):
        """Flips a bit in an acknowledged frame, and returns its file and offset."""
        frames = [item for item in self.items() if item["kind"] == "frame"]
        hit = frames[len(frames) // 2]
        path = os.path.join(self.out.directory, hit["file"])
        with open(path, "r+b") as file:
            file.seek(hit["offset"] + 100)
            byte = file.read(1)[0]
            file.seek(hit["offset"] + 100)
            file.write(bytes([byte ^ 0x10]))
        return hit["file"], hit["offset"]

    def test_a_node_with_a_damaged_log_is_halted_and_names_file_and_offset(self):
        file, offset = self.damage()
        path = f"{os.path.join(self.out.directory, file)} at {offset}: "
        self.assertIn(f"node {self.out.id}, group kv is halted: {path}", self.start())
        self.serve_without_it()

        group = self.out.group()
        self.assertEqual(group["health"], "suspect")
        self.assertEqual((group["suspect"]["file"], group["suspect"]["offset"]), (file, offset))
        self.assertEqual(group["halted"]["code"], "BOP_E_SUSPECT")
        self.assertTrue(group["halted"]["reason"].startswith(path), group)
        self.assertIn(f",health=suspect,file={file},offset={offset},halted=BOP_E_SUSPECT,reason={path}",
                      self.out.call("INFO", "groups").decode())
        for command in (("GET", "before 7"), ("SET", "before 7", "lost")):
            with self.assertRaises(RespError) as refused:
                self.out.call(*command)
            self.assertEqual(refused.exception.kind, "SUSPECT")
        self.assertIn(b'bop_group_halted{group="kv"} 1\n', self.out.ask("GET", "/metrics")[1])
        def shown():  # the node learns the leader from the others
            done = subprocess.run([program("bop"), "--endpoint", self.out.native, "status"],
                                  capture_output=True, text=True, check=False)
            return done.returncode == 0 and f"node {self.out.id}, group kv is halted: {path}" in done.stdout
        wait_until(shown, "bop status shows the group that is served and the replica that is halted")

        (problem,) = [item for item in self.items() if item["kind"] == "problem"]
        (found,) = [item for item in self.items() if item["kind"] == "group"]
        for item in (problem, found):
            self.assertEqual((item["file"], item["offset"]), (file, offset))
            self.assertIn(path, item["text"])
        table = self.inspect()
        self.assertEqual(table.returncode, 1)
        self.assertRegex(table.stdout, rf"(?m)^group +{file} +{offset} +-.* 1 +\d+ .*suspect: ")
        self.assertNotIn("//", table.stdout)

    # ---- a reformatted directory ----

    def wait_until_refused(self, words):
        """Waits until both other nodes log why they refuse this one."""
        for node in self.others:
            def logged(log=os.path.join(node.directory, "bopd.log")):
                with open(log, encoding="utf-8") as file:
                    return words in file.read()
            wait_until(logged, f"{node} logs: {words}")

    def test_a_reformatted_node_and_one_with_other_groups_are_refused_by_name(self):
        shutil.rmtree(self.out.directory)
        self.assertIn(f"node {self.out.id}, group kv has no leader", self.start())
        self.wait_until_refused(f"the data directory of node {self.out.id} was reformatted")
        self.serve_without_it()

        self.out.kill()
        wait_until(lambda: not self.out.alive(), "the node is dead")
        data = os.path.join(self.cluster.scratch, "reformatted")
        changes = [f"--set=data_directory={data}", OTHER_GROUPS]
        run([program("bopd"), "format", "--config", self.out.configuration, *changes])
        self.cluster.start_process(
            "other-groups", [program("bopd"), "start", "--config", self.out.configuration, *changes])
        self.wait_until_refused("was formatted with other groups or voters")
        self.serve_without_it()


    # ---- a log that is older than its machine ----

    def test_a_replica_whose_machine_is_ahead_of_its_log_is_suspect(self):
        shard = os.path.join(self.out.directory, "shard0")
        kept = os.path.join(self.cluster.scratch, "log of yesterday")
        segments = shutil.ignore_patterns("group-*")
        shutil.copytree(shard, kept, ignore=segments)
        self.cluster.start()
        for number in range(50):
            self.cluster.wait_for_leader().call("SET", f"after {number}", "kept")
        self.cluster.wait_until_equal()
        self.cluster.dev.stop()  # the machines make durable what they applied
        for name in os.listdir(shard):
            if name.endswith(".seg"):
                os.remove(os.path.join(shard, name))
        shutil.copytree(kept, shard, dirs_exist_ok=True)

        self.start()
        group = self.out.group()
        self.assertEqual(group["health"], "suspect")
        self.assertRegex(group["halted"]["reason"],
                         r"shard0/group-1/1: the machine holds entries up to \d+, but its log ends at \d+: ")
        self.serve_without_it()


class BadStore(Case):
    """A store that does not open halts only the replica of its group."""

    def test_only_the_group_of_a_store_that_does_not_open_is_halted(self):
        cluster = self.use(DevCluster(settings={
            "groups": '[{name = "kv", id = 1}, {name = "more", id = 2}]'}))
        cluster.wait_for_leader().call("SET", "key", "value")
        cluster.wait_until_equal()
        cluster.dev.stop()
        node = cluster.nodes[1]
        store = os.path.join(node.directory, "shard0", "group-2", "1", "kv.mdbx")
        with open(store, "r+b") as file:
            file.write(os.urandom(64 << 10))
        cluster.start()
        node = cluster.nodes[1]
        self.assertEqual(node.call("GET", "key"), b"value")
        self.assertNotIn("halted", node.group("kv"))
        halted = node.group("more")["halted"]
        self.assertIn(store, halted["reason"])
        self.assertIn(f"node {node.id}, group more is halted: ", cluster.dev.text())
        self.assertFalse(node.ready())
        for other in (cluster.nodes[0], cluster.nodes[2]):
            self.assertNotIn("halted", other.group("more"))
            wait_until(other.ready, f"{other} is ready")


if __name__ == "__main__":
    main()
