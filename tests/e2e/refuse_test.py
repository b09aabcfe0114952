#!/usr/bin/env python3
"""What bopd refuses to start on, with messages that tell what to do."""

import glob
import hashlib
import os
import re
import socket
import struct

from harness.case import Case, main
from harness.dev import DevCluster
from harness.hand import HandCluster
from harness.ports import free_block, is_free
from harness.process import program, run
from harness.waiting import wait_until


def format_file(node):
    found = glob.glob(os.path.join(node.directory, "**", "format"), recursive=True)
    assert len(found) == 1, found
    return found[0]


def contents(directory):
    """All files in a directory with digests of their contents, which a refusal must not change."""
    files = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            if name == "lock":  # has the pid of its last user
                continue
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                files[path] = hashlib.file_digest(file, "sha256").hexdigest()
    return files


class Refusal(Case):
    def refuse(self, *arguments):
        """Runs bopd, which must exit with an error, and returns its message."""
        done = run([program("bopd"), *arguments], check=False, timeout_s=30)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertGreater(done.returncode, 0, f"it died of a signal: {done.stderr}")
        self.assertNotIn("assert", done.stderr.lower())
        return done.stderr


class OfAStoppedNode(Refusal):
    """The directory of one stopped node."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = DevCluster(nodes=1).start()
        cls.node = cls.cluster.nodes[0]
        cls.cluster.dev.stop()
        with open(cls.node.configuration, encoding="utf-8") as file:
            cls.original = file.read()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.stop()

    def tearDown(self):
        self.configure(self.original)

    def configure(self, text):
        with open(self.node.configuration, "w", encoding="utf-8") as file:
            file.write(text)

    def start(self):
        return self.refuse("start", "--config", self.node.configuration)

    def test_an_unknown_key_is_named_with_its_line(self):
        self.configure(self.original + "\n# a comment\nno_such_key = 1\n")
        message = self.start()
        self.assertIn("no_such_key", message)
        self.assertRegex(message, rf"\b{self.configuration_lines()}\b")

    def configuration_lines(self):
        with open(self.node.configuration, encoding="utf-8") as file:
            return len(file.read().splitlines())

    def test_a_value_of_the_wrong_type_is_named_with_its_line_and_key(self):
        self.configure('raft.heartbeat_ms = "often"\n' + self.original)
        message = self.start()
        self.assertIn("raft.heartbeat_ms", message)
        self.assertRegex(message, r"bopd\.toml:1\b|line 1\b")

    def test_a_value_out_of_range_is_named_with_its_line_and_key(self):
        self.configure("raft.heartbeat_ms = 1\n" + self.original)
        message = self.start()
        self.assertIn("raft.heartbeat_ms", message)
        self.assertRegex(message, r"bopd\.toml:1\b|line 1\b")

    def test_invalid_toml_is_reported_with_its_line(self):
        self.configure("# fine\nthis is = = not\n" + self.original)
        self.assertRegex(self.start(), r"bopd\.toml:2\b|line 2\b")

    def test_a_file_that_cannot_be_a_configuration_exits_with_2_and_is_named(self):
        large = os.path.join(self.node.directory, "large.toml")
        self.write(large, b"#" * (2 << 20))
        self.addCleanup(os.remove, large)
        for path, words in ((self.node.directory, "is a directory"), (large, "larger than 1 MiB")):
            with self.subTest(path=path):
                done = run([program("bopd"), "start", "--config", path], check=False, timeout_s=30)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(f"{path}: ", done.stderr)
                self.assertIn(words, done.stderr)

    def test_an_invalid_environment_variable_is_named(self):
        done = run([program("bopd"), "start", "--config", self.node.configuration], check=False,
                   env={**os.environ, "BOP_RAFT_HEARTBEAT_MS": "often"})
        self.assertGreater(done.returncode, 0)
        self.assertIn("BOP_RAFT_HEARTBEAT_MS", done.stderr)

    def test_a_missing_configuration_file_is_named(self):
        self.assertIn("/no/such/file.toml", self.refuse("start", "--config", "/no/such/file.toml"))

    def test_a_directory_of_another_cluster_is_refused(self):
        before = contents(os.path.dirname(format_file(self.node)))
        self.configure(re.sub(r'(cluster_id\s*=\s*)["\'][0-9a-f]{32}["\']', rf'\1"{"ab" * 16}"', self.original))
        self.assertIn("BOP_E_FOREIGN_DIRECTORY", self.start())
        self.configure(self.original)
        after = contents(os.path.dirname(format_file(self.node)))
        self.assertEqual(before, after, "the refusal changed a file")

    def test_a_newer_format_is_refused_by_name(self):
        path = format_file(self.node)
        with open(path, "rb") as file:
            before = file.read()
        self.addCleanup(self.write, path, before)
        self.write(path, before[:8] + struct.pack("<I", 3) + before[12:])
        self.assertIn("BOP_E_NEWER_FORMAT", self.start())

    def test_an_older_format_is_refused_by_name(self):
        path = format_file(self.node)
        with open(path, "rb") as file:
            before = file.read()
        self.addCleanup(self.write, path, before)
        self.write(path, before[:8] + struct.pack("<I", 1) + before[12:72])
        self.assertIn("BOP_E_OLDER_FORMAT", self.start())

    def test_a_group_of_the_directory_that_the_configuration_lacks_is_refused_by_name(self):
        group = os.path.join(os.path.dirname(format_file(self.node)), "shard0", "group-9")
        os.mkdir(group)
        self.addCleanup(os.rmdir, group)
        message = self.start()
        self.assertIn("BOP_E_BAD_CONFIG", message)
        self.assertIn("shard0/group-9: the configuration has no group with this id", message)

    def test_a_segment_size_that_cannot_hold_the_largest_value_is_refused(self):
        self.configure(re.sub(r"segment_bytes *= *\d+", "segment_bytes = 1048576", self.original))
        self.assertRegex(self.start(), r"bopd\.toml:\d+: log\.segment_bytes: .*1048576")

    def test_a_damaged_format_file_is_refused_by_name(self):
        path = format_file(self.node)
        with open(path, "rb") as file:
            before = file.read()
        self.addCleanup(self.write, path, before)
        self.write(path, before[:20] + bytes([before[20] ^ 1]) + before[21:])
        self.assertIn("format", self.start())

    def test_a_directory_that_is_not_formatted_is_refused_by_name(self):
        path = format_file(self.node)
        os.rename(path, path + ".away")
        self.addCleanup(os.rename, path + ".away", path)
        self.assertIn("bopd format", self.start())

    def test_formatting_twice_is_refused_and_changes_nothing(self):
        directory = os.path.dirname(format_file(self.node))
        before = contents(directory)
        self.assertIn("BOP_E_ALREADY_FORMATTED", self.refuse("format", "--config", self.node.configuration))
        self.assertEqual(contents(directory), before)

    def write(self, path, data):
        with open(path, "wb") as file:
            file.write(data)

    def test_each_port_in_use_is_refused_by_name(self):
        for address in (self.node.native, self.node.resp, self.node.http):
            host, _, port = address.rpartition(":")
            with self.subTest(address=address), socket.socket() as holder:
                holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                holder.bind((host, int(port)))
                holder.listen()
                message = self.start()
                self.assertIn("BOP_E_ADDRESS_IN_USE", message)
                self.assertIn(address, message)

    def test_an_address_outside_loopback_requires_insecure(self):
        self.configure(self.original.replace(self.node.http, "0.0.0.0:" + self.node.http.rpartition(":")[2]))
        message = self.start()
        self.assertIn("insecure", message)
        self.assertIn("listen.http", message)

    def test_a_usage_error_exits_with_2_and_names_the_mistake(self):
        for arguments in (["no-such-command"], ["start", "--no-such-flag"], ["dev", "--nodes", "many"]):
            with self.subTest(arguments=arguments):
                done = run([program("bopd"), *arguments], check=False)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertNotEqual(done.stderr, "")


class OfARunningNode(Refusal):
    def test_a_second_process_on_the_same_directory_is_refused_and_the_first_continues(self):
        cluster = self.use(DevCluster(nodes=1))
        node = cluster.nodes[0]
        self.assertEqual(node.call("SET", "mine", "1"), "OK")
        message = self.refuse("start", "--config", node.configuration)
        self.assertIn("BOP_E_DIRECTORY_IN_USE", message)
        self.assertEqual(node.call("GET", "mine"), b"1")
        self.assertTrue(node.alive())

    def test_bopd_dev_refuses_a_port_in_use_and_leaves_nothing_running(self):
        first = free_block(30)
        for port in (first + 11, first + 13):  # the RESP and peer listeners of node 2
            with self.subTest(port=port), socket.socket() as holder:
                holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                holder.bind(("127.0.0.1", port))
                holder.listen()
                message = self.refuse("dev", "--nodes", "3", "--base-port", str(first))
                self.assertIn(f"127.0.0.1:{port}", message)
            self.assertTrue(all(is_free(first + i) for i in range(30) if first + i != port), "a node is left")

    def test_a_node_of_another_cluster_is_refused(self):
        ours = self.use(HandCluster())
        theirs = self.use(HandCluster())
        # Their first node (of two, the one with the lower id calls) now calls where our nodes listen, and
        # has nobody else.
        stranger = theirs.nodes[0]
        for node in theirs.nodes:
            node.kill()
        with open(stranger.configuration, encoding="utf-8") as file:
            text = file.read()
        for mine, other in zip(ours.nodes[1:], theirs.nodes[1:]):
            text = text.replace(other.peer, mine.peer)
        with open(stranger.configuration, "w", encoding="utf-8") as file:
            file.write(text)
        terms = [node.group()["term"] for node in ours.nodes]
        theirs.start_node(stranger)
        leader = ours.wait_for_leader()
        for number in range(200):
            leader.call("SET", f"undisturbed {number}", "1")
        wait_until(lambda: "BOP_E_WRONG_CLUSTER" in ours.output(), "our nodes log whom they refused")
        wait_until(lambda: "BOP_E_WRONG_CLUSTER" in theirs.output(), "it logs why it was refused")
        self.assertEqual([node.group()["term"] for node in ours.nodes], terms)
        self.assertFalse(stranger.ready())


if __name__ == "__main__":
    main()
