#!/usr/bin/env python3
"""bopd: configuration, format, start and stop of a single node."""

import os
import shutil
import signal
import socket
import unittest

from running import Case, free_ports, wait_until

CLUSTER = "0123456789abcdef0123456789abcdef"


class Bopd(Case):
    def configure(self, more="", cluster=CLUSTER, node=1):
        self.port = free_ports(4)
        return self.write("bopd.toml", f"""
data_directory = "data"
cluster_id = "{cluster}"
node_id = {node}
log.segment_bytes = 2097152
log.max_bytes = 16777216
listen.native = "127.0.0.1:{self.port}"
listen.resp = "127.0.0.1:{self.port + 1}"
listen.http = "127.0.0.1:{self.port + 2}"
listen.peer = "127.0.0.1:{self.port + 3}"
{more}""")

    def serves(self, process):
        self.assertIsNone(process.poll(), "bopd ended")
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def serving(self, config, *more):
        process = self.start("start", "--config", config, *more)
        wait_until(lambda: self.serves(process), "the native port is open")
        return process

    # ---- the command line ----

    def test_prints_its_version_and_its_commands(self):
        out, _ = self.bopd("--version")
        self.assertRegex(out.decode(), r"^bopd \d+\.\d+\.\d+\n$")
        out, _ = self.bopd("--help")
        for command in ("dev", "start", "format", "config"):
            self.assertIn(command, out.decode())

    def test_refuses_unknown_commands_and_options(self):
        for wrong in ((), ("fly",), ("start", "--nonsense"), ("dev", "--nodes", "0"), ("start", "--set", "nonsense")):
            self.bopd(*wrong, code=2)
        for unknown in (("fly",), ("config", "fly")):
            self.assertIn('unknown command "fly"', self.bopd(*unknown, code=2)[1])

    # ---- configuration ----

    def test_shows_the_origin_of_every_value(self):
        config = self.write("bopd.toml", "shards = 3\nlog.direct = false\nkv.memory_bytes = 7000000\n")
        out, _ = self.bopd("config", "show", "--origin", "--config", config, "--set", "kv.memory_bytes=9000000",
                           environment={"BOP_SHARDS": "4"})
        lines = out.decode().splitlines()
        self.assertIn("shards = 4  # BOP_SHARDS", lines)
        self.assertIn(f"log.direct = false  # {config}:2", lines)
        self.assertIn("kv.memory_bytes = 9000000  # flag", lines)
        self.assertIn('io.backend = "auto"  # default', lines)
        out, _ = self.bopd("config", "show")
        self.assertIn("shards = 1\n", out.decode())

    def test_names_line_and_key_of_an_invalid_configuration(self):
        config = self.configure('\n[logging]\nlevels = 1\n')
        for command in ("start", "format"):
            _, error = self.bopd(command, "--config", config, code=2)
            self.assertIn(f"{config}:13: logging.levels: unknown key", error)
        self.assertFalse(os.path.exists(self.path("data")))

    def test_refuses_a_listener_outside_loopback_unless_insecure(self):
        config = self.configure()
        _, error = self.bopd("format", "--config", config, "--set", "listen.http=0.0.0.0:1", code=2)
        self.assertIn("listen.http: 0.0.0.0:1 is not on loopback", error)
        self.bopd("format", "--config", config, "--set", "listen.http=0.0.0.0:1", "--insecure")

    def test_names_what_is_wrong_with_an_address(self):
        config = self.configure()
        for address, what in (("no-such-host.invalid:80", 'unknown host "no-such-host.invalid"'),
                              ("http://127.0.0.1:80", "this is a URL; write HOST:PORT")):
            _, error = self.bopd("format", "--config", config, "--set", f"listen.http={address}", code=2)
            self.assertIn("listen.http: ", error)
            self.assertIn(what, error)

    def test_checks_a_configuration_and_changes_nothing(self):
        out, _ = self.bopd("config", "check", "--config", self.configure())
        self.assertIn("the configuration of node 1 is valid", out.decode())
        self.assertFalse(os.path.exists(self.path("data")))
        for wrong, what in (("node_id=0", "node_id"), ("raft.heartbeat_ms=900", "heartbeat"),
                            ('groups=[{name = "kv", id = 1, machine = "sum"}]', '"sum"')):
            _, error = self.bopd("config", "check", "--config", self.configure(), "--set", wrong, code=2)
            self.assertIn(what, error)
        self.bopd("config", "check", "--config", self.path("none.toml"), code=2)

    # ---- the data directory ----

    def test_does_not_format_for_an_unknown_machine(self):
        config = self.configure('groups = [{name = "sums", id = 1, machine = "sum"}]')
        for command in ("format", "start"):
            _, error = self.bopd(command, "--config", config, code=2)
            self.assertIn('groups: group sums: unknown machine "sum"; this program has: kv', error)
        self.assertFalse(os.path.exists(self.path("data")))
        _, error = self.bopd("dev", "--data", self.path("cluster"), "--base-port", free_ports(10),
                             "--set", 'groups=[{name = "sums", id = 1, machine = "sum"}]', code=2)
        self.assertIn('unknown machine "sum"', error)
        self.assertFalse(os.path.exists(self.path("cluster")))

    def test_formats_a_directory_once(self):
        config = self.configure()
        out, _ = self.bopd("format", "--config", config)
        self.assertIn(CLUSTER, out.decode())
        with open(self.path("data", "format"), "rb") as file:
            before = file.read()
        _, error = self.bopd("format", "--config", config, code=1)
        self.assertIn("BOP_E_ALREADY_FORMATTED", error)
        with open(self.path("data", "format"), "rb") as file:
            self.assertEqual(file.read(), before)

    def test_does_not_start_on_a_directory_that_is_not_formatted(self):
        _, error = self.bopd("start", "--config", self.configure(), code=1)
        self.assertIn("BOP_E_NOT_FORMATTED", error)
        self.assertIn("bopd format", error)
        self.assertFalse(os.path.exists(self.path("data", "format")))

    def test_does_not_start_on_the_directory_of_another_node(self):
        self.bopd("format", "--config", self.configure())
        _, error = self.bopd("start", "--config", self.configure(cluster="f" * 32), code=1)
        self.assertIn("BOP_E_FOREIGN_DIRECTORY", error)
        self.assertIn(CLUSTER, error)
        _, error = self.bopd("start", "--config", self.configure(node=2), code=1)
        self.assertIn("BOP_E_FOREIGN_DIRECTORY", error)

    def test_does_not_start_with_other_groups(self):
        self.bopd("format", "--config", self.configure())
        _, error = self.bopd("start", "--config", self.configure('groups = [{name = "other", id = 1}]'), code=2)
        self.assertIn("the name, machine and voters of group 1 must stay", error)

    def test_does_not_start_on_a_newer_older_or_damaged_format(self):
        config = self.configure()
        self.bopd("format", "--config", config)
        with open(self.path("data", "format"), "r+b") as file:
            file.seek(8)
            file.write(b"\x03")
        _, error = self.bopd("start", "--config", config, code=1)
        self.assertIn("BOP_E_NEWER_FORMAT", error)
        with open(self.path("data", "format"), "r+b") as file:
            file.seek(8)
            file.write(b"\x01")
        _, error = self.bopd("start", "--config", config, code=1)
        self.assertIn("BOP_E_OLDER_FORMAT", error)
        with open(self.path("data", "format"), "r+b") as file:
            file.seek(8)
            file.write(b"\x02")
            file.seek(20)
            file.write(b"?")
        _, error = self.bopd("start", "--config", config, code=1)
        self.assertIn("BOP_E_DAMAGED", error)

    def test_does_not_start_on_a_missing_or_too_large_log(self):
        config = self.configure()
        self.bopd("format", "--config", config)
        self.stop(self.serving(config))
        segment = self.path("data", "shard0", "0000000000000001.seg")
        os.truncate(segment, 1 << 40)
        _, error = self.bopd("start", "--config", config, code=1)
        self.assertIn(f"{segment}: the file is larger than a segment can be (BOP_E_DAMAGED)", error)
        os.mkdir(self.path("data", "shard1"))
        out, _ = self.run_program("bop", "log", "inspect", self.path("data"), code=1)
        self.assertRegex(out.decode(), r"problem +shard0 .*is larger than a segment can be\n")
        self.assertRegex(out.decode(), r"problem +shard1 .*holds no segment of a log\n")
        shutil.rmtree(self.path("data", "shard0"))
        _, error = self.bopd("start", "--config", config, code=1)
        self.assertIn("holds no log, although the directory has served (BOP_E_DAMAGED)", error)

    def test_does_not_start_on_a_directory_in_use(self):
        config = self.configure()
        self.bopd("format", "--config", config)
        self.serving(config)
        more = [f"--set=listen.{name}=127.0.0.1:0" for name in ("native", "resp", "http", "peer")]
        _, error = self.bopd("start", "--config", config, *more, code=3)
        self.assertIn("BOP_E_DIRECTORY_IN_USE", error)

    # ---- start and stop ----

    def test_does_not_start_on_a_port_in_use(self):
        config = self.configure()
        self.bopd("format", "--config", config)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", self.port + 1))
            taken.listen()
            _, error = self.bopd("start", "--config", config, code=3)
        self.assertIn("BOP_E_ADDRESS_IN_USE", error)
        self.assertIn(str(self.port + 1), error)
        self.stop(self.serving(config))  # it starts once the port is free

    def test_stops_within_five_seconds_and_starts_again(self):
        config = self.configure()
        self.bopd("format", "--config", config)
        for stop in (signal.SIGTERM, signal.SIGINT):
            process = self.serving(config)
            process.send_signal(stop)
            self.assertEqual(process.wait(5), 0)

    def test_starts_with_more_shards_than_it_was_formatted_with(self):
        config = self.configure()
        self.bopd("format", "--config", config)
        for shards in (1, 2, 1, 3):
            self.assertEqual(self.stop(self.serving(config, f"--set=shards={shards}")), 0)

    def test_logs_json_if_configured(self):
        config = self.configure('logging.format = "json"')
        self.bopd("format", "--config", config)
        process = self.serving(config)
        self.stop(process)
        _, error = process.communicate()
        for line in error.decode().splitlines():
            self.assertRegex(line, r'^\{"time":"[^"]+","level":"[a-z]+","text":".*"\}$')
        self.assertIn('node 1 of cluster', error.decode())


if __name__ == "__main__":
    unittest.main()
