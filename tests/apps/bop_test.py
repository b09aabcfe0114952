#!/usr/bin/env python3
"""bop: the command line against a cluster.

    bop_test.py PROGRAM             a node with the machine sum (sum_node.cpp)
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import unittest

from running import BIN, LIMIT_S, Case, Dev, free_ports, wait_until

SUM_NODE = sys.argv.pop(1)


class Bop(Case):
    def setUp(self):
        super().setUp()
        self.dev = Dev(self, data=self.path("data"))

    def bop(self, *arguments, **options):
        return self.run_program("bop", "--endpoint", self.dev.nodes[0]["native"], *arguments, **options)

    def json(self, *arguments, **options):
        out, _ = self.bop("-o", "json", *arguments, **options)
        return json.loads(out)

    def test_reads_back_what_it_wrote(self):
        out, _ = self.bop("put", "greeting", "hello")
        self.assertRegex(out.decode(), r"^revision \d+\n$")
        self.assertEqual(self.bop("get", "greeting")[0], b"hello")
        read = self.json("get", "greeting")
        self.assertEqual((read["key"], read["value"]), ("greeting", "hello"))
        written = self.json("put", "greeting", "again")
        self.assertGreater(written["revision"], read["revision"])

    def test_reads_values_from_standard_input_unchanged(self):
        value = bytes(range(256)) * 2000
        self.bop("put", "binary", "-", stdin=value)
        self.assertEqual(self.bop("get", "binary")[0], value)
        self.bop("put", "binary", stdin=b"")
        self.assertEqual(self.bop("get", "binary")[0], b"")
        self.bop("put", "bytes", "-", stdin=b"\xff\x00")
        self.assertEqual(self.json("get", "bytes")["value_base64"], "/wA=")

    def test_an_input_that_cannot_be_read_is_an_error_and_not_an_empty_value(self):
        native = self.dev.nodes[0]["native"]
        self.bop("put", "kept", "value")
        for command, redirection in (("put kept", "<&-"), ("put kept", f"<{self.directory}"), ("put kept -", "<&-"),
                                     ("propose -", "<&-"), ("query", f"<{self.directory}")):
            done = subprocess.run(["sh", "-c", f"exec {BIN}/bop --endpoint {native} {command} {redirection}"],
                                  capture_output=True, text=True, timeout=LIMIT_S, check=False)
            self.assertEqual(done.returncode, 2, done)
            self.assertIn("standard input cannot be read: ", done.stderr)
        self.assertEqual(self.bop("get", "kept")[0], b"value")

    def test_a_missing_key_exits_with_1(self):
        out, error = self.bop("get", "nothing", code=1)
        self.assertEqual(out, b"")
        self.assertIn("BOP_E_NOT_FOUND", error)
        self.bop("delete", "nothing", code=1)

    def test_deletes_all_given_keys(self):
        for key in ("a", "b"):
            self.bop("put", key, "x")
        self.assertEqual(self.json("delete", "a", "b", "c")["deleted"], 2)
        self.bop("get", "a", code=1)

    def test_writes_only_if_the_condition_holds(self):
        self.bop("put", "lock", "me", "--if-absent")
        _, error = self.bop("put", "lock", "you", "--if-absent", code=1)
        self.assertIn('the value is "me"', error)
        self.bop("put", "other", "x", "--if-present", code=1)
        revision = self.json("get", "lock")["revision"]
        self.bop("put", "lock", "next", "--if-revision", revision)
        self.bop("put", "lock", "late", "--if-revision", revision, code=1)
        self.bop("cas", "lock", "next", "last")
        self.bop("cas", "lock", "next", "never", code=1)
        self.assertEqual(self.bop("get", "lock")[0], b"last")

    def test_increments_numbers(self):
        self.assertEqual(self.bop("incr", "n")[0], b"1\n")
        self.assertEqual(self.bop("incr", "n", "41")[0], b"42\n")
        self.assertEqual(self.json("incr", "n", "--", "-2")["value"], 40)
        self.bop("put", "text", "abc")
        self.bop("incr", "text", code=1)

    def test_invalid_numbers_are_usage_errors_and_change_nothing(self):
        for wrong in ("92233720368547758070", "-92233720368547758070", "010", "0x10", "1.0", "1 ", "+1", ""):
            _, error = self.bop("incr", "n", "--", wrong, code=2)
            self.assertIn(f'BY: "{wrong}" is not a decimal number', error)
        self.bop("get", "n", code=1)
        self.bop("put", "n", "1")
        for wrong in ("-1", "99999999999999999999999", "0x1", "01"):
            _, error = self.bop("put", "n", "2", "--if-revision", wrong, code=2)
            self.assertIn(f'--if-revision: "{wrong}" is not a decimal number', error)
        self.assertEqual(self.bop("get", "n")[0], b"1")
        self.assertEqual(self.bop("incr", "n", 2**63 - 2)[0].decode(), f"{2**63 - 1}\n")
        self.assertEqual(self.bop("incr", "n", "--", -2**63)[0], b"-1\n")
        for wrong in (("--clients", "010"), ("--keys", "-1"), ("--read-ratio", "nan"), ("--time", "0x1")):
            self.bop("bench", "kv", *wrong, code=2)

    def test_lists_keys_in_order(self):
        for key in ("c", "a", "b", "prefix/2", "prefix/1"):
            self.bop("put", key, "value of " + key)
        listed = self.json("range")
        self.assertEqual([r["key"] for r in listed["records"]], ["a", "b", "c", "prefix/1", "prefix/2"])
        self.assertFalse(listed["more"])
        self.assertEqual([r["key"] for r in self.json("range", "b", "d")["records"]], ["b", "c"])
        self.assertEqual([r["key"] for r in self.json("range", "--prefix", "prefix/")["records"]],
                         ["prefix/1", "prefix/2"])
        few = self.json("range", "--limit", 2, "--keys-only")
        self.assertEqual(len(few["records"]), 2)
        self.assertTrue(few["more"])
        self.assertNotIn("value", few["records"][0])
        out, _ = self.bop("range", "b", "c")
        self.assertEqual([line.split() for line in out.decode().splitlines()][0], ["KEY", "REVISION", "VALUE"])

    def test_refuses_a_range_whose_bounds_are_longer_than_any_key(self):
        for wrong in (("k" * 1025,), ("a", "k" * 1025), ("--prefix", "k" * 1025)):
            _, error = self.bop("range", *wrong, code=2)
            self.assertIn("BOP_E_TOO_LARGE", error)
        self.bop("range", "k" * 1024)

    def test_lists_more_than_a_page(self):
        self.bop("bench", "kv", "--keys", "12000", "--time", "100ms", "--clients", "2", "--size", "8")
        listed = self.json("range", "--prefix", "k", "--limit", "50000", "--keys-only")
        self.assertEqual(len(listed["records"]), 12000)
        self.assertEqual(listed["records"][-1]["key"], "k%015d" % 11999)
        self.assertFalse(listed["more"])

    def test_shows_a_nodes_status(self):
        status = self.json("status")
        self.assertEqual(status["cluster_id"], self.dev.ready["cluster"])
        self.assertEqual(status["node_id"], 1)
        (group,) = status["groups"]
        self.assertEqual((group["name"], group["role"], group["leader"], group["health"]), ("kv", "leader", 1, "ok"))
        out, _ = self.bop("status")
        self.assertIn("leader", out.decode())

    def test_status_reports_endpoints_that_do_not_answer(self):
        live = self.dev.nodes[0]["native"]
        dead = f"127.0.0.1:{free_ports(1)}"
        with socket.socket() as silent:  # like a paused node: accepts connections and sends nothing
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            paused = "127.0.0.1:%d" % silent.getsockname()[1]

            def status(*endpoints, more=(), code=0):
                out, error = self.run_program("bop", "--endpoint", ",".join(endpoints), "--timeout", "500ms",
                                              "status", *more, code=code)
                return out.decode(), error
            for more in ((), ("-o", "json", "--all")):
                out, error = status(dead, paused, live, more=more)
                self.assertIn("leader", out)
                words = [f"no status from {dead}: Connection refused",
                         f"no status from {paused}: no connection within the timeout"]
                if more:
                    self.assertEqual([json.loads(line)["error"] for line in error.splitlines()],
                                     [{"code": "BOP_E_UNAVAILABLE", "text": text} for text in words])
                else:
                    self.assertEqual(error.splitlines(), [f"bop: {text} (BOP_E_UNAVAILABLE)" for text in words])
                out, error = status(dead, paused, more=more, code=3)
                self.assertEqual((out, len(error.splitlines())), ("", 2))
            out, error = status(dead, live, paused, more=("-o", "json"))
            self.assertEqual((json.loads(out)["node_id"], error), (1, ""))

    def test_inspects_a_log_while_and_after_it_is_written(self):
        for i in range(10):
            self.bop("put", "key", i)
        out, _ = self.run_program("bop", "-o", "json", "log", "inspect", self.path("data", "1"))
        items = json.loads(out)
        self.assertGreaterEqual(sum(item.get("entries", 0) for item in items if item["kind"] == "record"), 10)
        self.assertIn("segment", {item["kind"] for item in items})
        self.stop(self.dev.process)
        out, _ = self.run_program("bop", "log", "inspect", self.path("data", "1"))
        header, *rows = [line.split() for line in out.decode().splitlines()]
        self.assertEqual(header, ["KIND", "FILE", "OFFSET", "LENGTH", "EPOCH", "FRAME", "DURABLE", "GROUP", "TERM",
                                  "VOTE", "ENTRIES", "TEXT"])
        last = max(item["last_index"] for item in items if item["kind"] == "group")
        (group,) = [dict(zip(header, row)) for row in rows if row[0] == "group"]
        self.assertEqual((group["GROUP"], group["VOTE"], group["TEXT"]), ("1", "1", "ok"))
        self.assertGreaterEqual(int(group["ENTRIES"].removeprefix("1..")), last)
        _, error = self.run_program("bop", "log", "inspect", self.path("nothing"), code=1)
        self.assertIn("nothing", error)

    def test_bench_reports_and_misses_nothing(self):
        result = self.json("bench", "kv", "--clients", 4, "--pipeline", 4, "--size", 100, "--time", "500ms",
                           "--read-ratio", 0.5, "--keys", 1000)
        for name in ("ops", "ops_per_s", "p50_us", "p99_us", "max_us"):
            self.assertGreater(result[name], 0, name)
        self.assertEqual(result["errors"], 0)
        self.assertEqual(result["missing"], 0)
        self.assertGreaterEqual(result["acked"], 1000 + result["writes"])
        self.assertGreater(result["reads"], 0)
        out, error = self.bop("bench", "kv", "--clients", 2, "--time", "1s", "--keys", 100)
        self.assertRegex(out.decode(), r"acked \d+ missing 0\n")
        self.assertIn("ops/s", error)

    def test_bench_fails_within_its_limits_when_no_node_answers(self):
        dead = f"127.0.0.1:{free_ports(1)}"
        began = time.monotonic()
        out, error = self.run_program("bop", "--endpoint", dead, "--timeout", "1s", "bench", "kv", "--time",
                                      "1s", code=3)
        self.assertLess(time.monotonic() - began, 30)
        self.assertEqual(out, b"")
        self.assertIn(f"bop: preloading failed: BOP_E_UNAVAILABLE: {dead}: Connection refused\n", error)
        out, _ = self.run_program("bop", "--endpoint", dead, "--timeout", "100ms", "-o", "json", "bench", "kv", "--time",
                                  "100ms", "--no-preload", code=3)
        self.assertEqual([json.loads(out)[name] for name in ("ops", "acked", "missing")], [0, 0, 0])

    def test_bench_detects_a_missing_write(self):
        # A key that is deleted during the benchmark must be reported as missing.
        import subprocess
        from running import BIN
        bench = subprocess.Popen([os.path.join(BIN, "bop"), "--endpoint", self.dev.nodes[0]["native"], "-o", "json",
                                  "bench", "kv", "--clients", "1", "--time", "2s", "--keys", "1000", "--read-ratio",
                                  "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.end, bench)
        key = "k%015d" % 999
        while self.run_program("bop", "--endpoint", self.dev.nodes[0]["native"], "range", key)[0].count(b"k") < 1:
            time.sleep(0.01)
        self.bop("delete", key)
        out, _ = bench.communicate(timeout=60)
        self.assertEqual(bench.returncode, 1)
        self.assertEqual(json.loads(out)["missing"], 1)

    def test_reports_output_that_could_not_be_written(self):
        self.bop("put", "key", "value")
        with open("/dev/full", "wb") as full:
            for command in (("get", "key"), ("range",), ("incr", "n"), ("-o", "json", "status"), ("status",), ("--help",),
                            ("log", "inspect", self.path("data", "1"))):
                _, error = self.bop(*command, code=3, stdout=full)
                self.assertIn("bop: standard output could not be written\n", error)
            self.bop("get", "nothing", code=1, stdout=full)  # nothing was lost
            self.bopd("config", "show", code=3, stdout=full)
            self.run_program("bop-sim", "--minutes", "0.01", code=2, stdout=full)

    def test_names_the_cause_of_each_endpoint_when_none_answers(self):
        port = free_ports(2)
        endpoints = f"127.0.0.1:{port},127.0.0.1:{port + 1}"
        _, error = self.run_program("bop", "--timeout", "300ms", "get", "x", code=3,
                                    environment={"BOP_ENDPOINT": endpoints})
        self.assertIn(f"127.0.0.1:{port}: ", error)
        self.assertIn(f"127.0.0.1:{port + 1}: ", error)
        self.assertIn("refused", error)
        self.assertIn("BOP_E_UNAVAILABLE", error)

    def test_a_request_to_a_paused_node_times_out(self):
        pid = self.dev.nodes[0]["pid"]
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(os.kill, pid, signal.SIGCONT)
        self.bop("--timeout", "300ms", "put", "x", "y", code=3)

    def test_a_usage_error_exits_with_2(self):
        for wrong in ((), ("put",), ("get",), ("put", "", "x"), ("put", "k" * 2000, "x"), ("--timeout", "soon", "get", "x"),
                      ("-o", "xml", "get", "x"), ("range", "a", "b", "--prefix", "c"), ("bench", "kv", "--clients", "0"),
                      ("--endpoint", "nowhere", "get", "x")):
            self.run_program("bop", *wrong, code=2)
        self.bop("put", "k", "-", stdin=b"x" * ((1 << 20) + 1), code=2)
        for command in (("get", "x"), ("put", "x", "y"), ("bench", "kv", "--time", "1s")):
            _, error = self.bop("--group", "nobody", *command, code=2)
            self.assertIn("there is no group nobody; the groups are: kv (BOP_E_NO_GROUP)", error)

    def test_names_an_unknown_command_and_suggests_the_nearest(self):
        for wrong, what in (
                (("set", "a", "b"), 'unknown command "set"; did you mean "get" or "put"?'),
                (("statu",), 'unknown command "statu"; did you mean "status"?'),
                (("del", "a"), 'unknown command "del"; did you mean "delete"?'),
                (("log", "inspcet", "x"), 'unknown command "inspcet"; did you mean "inspect"?'),
                (("fly",), 'unknown command "fly"; the commands are: put, delete, '),
                (("range", "--limti", "3"), 'unknown option "--limti"; did you mean "--limit"?'),
                (("get", "a", "--timout=1s"), 'unknown option "--timout"; did you mean "--timeout"?'),
                (("put", "a", "b", "c", "d"), 'unexpected arguments "c", "d"; usage: bop put [OPTIONS] KEY [VALUE]'),
                (("get",), "KEY is required; usage: bop get [OPTIONS] KEY"),
                (("bench",), "a command is required: kv")):
            _, error = self.run_program("bop", *wrong, code=2)
            self.assertIn("bop: " + what, error)

    def test_names_what_is_wrong_with_an_endpoint(self):
        for endpoint, what in (("http://127.0.0.1:7100", 'this is a URL; write HOST:PORT, such as 127.0.0.1:7100'),
                               ("::1:7100", "write an IPv6 address in brackets"), ("localhost", "the port is missing"),
                               ("a b:7100", '"a b" is not the name of a host'), ("x:y:7100", "more than one colon"),
                               (":7100", "the host is empty"), ("localhost:http", 'the port "http" is not a number'),
                               ("", "the address is empty"), ("127.0.0.1:7100,", "the address is empty")):
            _, error = self.run_program("bop", "--endpoint", endpoint, "get", "x", code=2)
            self.assertIn(what, error)
            self.assertIn("BOP_E_BAD_ADDRESS", error)
        _, error = self.run_program("bop", "--timeout", "300ms", "--endpoint", "no-such-host.invalid:7100", "get", "x", code=3)
        self.assertIn("no-such-host.invalid:7100: ", error)
        self.assertRegex(error, "unknown host|no connection within the timeout")  # without a resolver the lookup takes longer

    def test_with_json_output_errors_are_json(self):
        self.bop("put", "key", "value")
        for command, code, name in ((("get", "nothing"), 1, "BOP_E_NOT_FOUND"), (("fly",), 2, "BOP_E_INVALID_ARGUMENT"),
                                    (("put", "key", "x", "--if-absent"), 1, "BOP_E_CONDITION_FAILED"),
                                    (("--group", "nobody", "get", "x"), 2, "BOP_E_NO_GROUP"),
                                    (("log", "inspect", self.path("none")), 1, "BOP_E_NOT_FOUND")):
            for form in (("-o", "json"), ("--output=json",)):
                out, error = self.bop(*form, *command, code=code)
                self.assertEqual(out, b"")
                error = json.loads(error)["error"]
                self.assertEqual(error["code"], name)
                self.assertGreater(len(error["text"]), 10)
        _, error = self.run_program("bop", "--endpoint", "127.0.0.1:1", "--timeout=200ms", "-ojson", "get", "x", code=3)
        self.assertEqual(json.loads(error)["error"]["code"], "BOP_E_UNAVAILABLE")

    def test_the_help_of_each_command_shows_the_global_options(self):
        for command in (("put",), ("range",), ("status",), ("log", "inspect"), ("bench", "kv")):
            out, _ = self.run_program("bop", *command, "--help")
            self.assertRegex(out.decode(), "(?s)^.+Usage: bop " + " ".join(command) + r" .*\nGlobal options:\n.*--endpoint "
                             r".*--group .*--timeout .*--output ")

    # ---- any machine ----

    def test_sends_raw_bytes_to_a_machine_and_prints_its_reply(self):
        # A PUT of kv (include/bop/kv.h), and a GET of the same key.
        command = "01000100" + "0100" + "0300" + "02000000" + "6b6579" + "6869"
        for payload, more in ((command, {}), ("-", {"stdin": command.upper().encode() + b"\n"}),
                              ("@" + self.write("command", command), {})):
            out, _ = self.bop("propose", "--hex", payload, **more)
            self.assertRegex(out.decode(), r"^[0-9a-f]{16,}\n$")
        self.assertEqual(self.bop("get", "key")[0], b"hi")
        with open(self.path("raw"), "wb") as file:
            file.write(bytes.fromhex("01010000" + "0100" + "0300" + "6b6579"))
        asked, _ = self.bop("query", "@" + self.path("raw"))
        self.assertTrue(asked.endswith(b"hi"), asked)
        told = self.json("query", "--hex", "@" + self.write("question", "01010000" + "0100" + "0300" + "6b6579"))
        self.assertEqual(bytes.fromhex(told["body_hex"]), asked)
        self.assertGreater(self.json("propose", "--hex", command)["index"], 0)
        for wrong in (("--hex", "0g"), ("--hex", "123"), ("@" + self.path("none"),)):
            _, error = self.bop("propose", *wrong, code=2)
            self.assertIn("BOP_E_INVALID_ARGUMENT", error)
        self.bop("propose", "-", stdin=b"x" * ((8 << 20) + 1), code=2)

    def sum_node(self):
        port = free_ports(1)
        config = self.write("sum.toml", f"""
data_directory = "sum"
cluster_id = "{'5' * 32}"
listen = {{native = "127.0.0.1:{port}", resp = "", http = "", peer = ""}}
log = {{segment_bytes = 2097152, max_bytes = 16777216}}
groups = [{{name = "sums", id = 1, machine = "sum"}}]
""")
        process = subprocess.Popen([SUM_NODE, config], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   env=self.environment(None))
        self.addCleanup(self.end, process)
        self.assertEqual(process.stdout.readline(), b"serves\n")
        return ("--endpoint", f"127.0.0.1:{port}", "--group", "sums")

    def test_sends_no_command_of_kv_to_another_machine(self):
        sums = self.sum_node()
        for number, total in (("5", b"5"), ("-2", b"3")):
            out, _ = self.run_program("bop", *sums, "propose", "--", number)
            self.assertEqual(out, total)
        self.assertEqual(self.run_program("bop", *sums, "query", "anything")[0], b"3")
        _, error = self.run_program("bop", *sums, "propose", "x", code=1)
        self.assertIn("BOP_E_WRONG_TYPE", error)
        before = self.run_program("bop", *sums, "-o", "json", "status")[0]
        for command in (("put", "a", "b"), ("get", "a"), ("delete", "a"), ("incr", "a"), ("cas", "a", "b", "c"), ("range",),
                        ("bench", "kv", "--time", "1s")):
            _, error = self.run_program("bop", *sums, *command, code=2)
            self.assertIn("group sums runs the machine sum, not kv", error)
        after = self.run_program("bop", *sums, "-o", "json", "status")[0]
        self.assertEqual(*(json.loads(status)["groups"][0]["last_index"] for status in (before, after)))

    def test_asks_another_endpoint_when_one_is_paused(self):
        with socket.socket() as silent:  # accepts connections and sends nothing
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            endpoints = "127.0.0.1:%d,%s" % (silent.getsockname()[1], self.dev.nodes[0]["native"])
            self.run_program("bop", "--endpoint", endpoints, "--timeout", "30s", "put", "a", "b")

    def test_waits_for_a_node_that_starts_within_the_timeout(self):
        self.stop(self.dev.process)
        late = subprocess.Popen(["sh", "-c", 'sleep 1; exec "$@"', "sh", os.path.join(os.environ["BOP_BIN"], "bopd"), "start",
                                 "--config", self.path("data", "1", "bopd.toml")], env=self.environment(None),
                                stderr=subprocess.DEVNULL)
        self.addCleanup(self.end, late)
        self.bop("--timeout", "30s", "put", "a", "b")

    def test_follows_the_leader_to_another_node(self):
        self.stop(self.dev.process)
        dev = Dev(self, nodes=3)
        endpoints = ",".join(node["native"] for node in dev.nodes)
        for node in dev.nodes:  # followers forward or redirect
            self.run_program("bop", "--endpoint", node["native"], "incr", "n")
        status = json.loads(self.run_program("bop", "--endpoint", endpoints, "-o", "json", "status", "--all")[0])
        self.assertEqual(len(status), 3)
        (leader,) = {s["groups"][0]["leader"] for s in status}
        victim = next(node for node in dev.nodes if node["id"] == leader)
        os.kill(victim["pid"], signal.SIGKILL)
        out, _ = self.run_program("bop", "--endpoint", endpoints, "--timeout", "30s", "incr", "n")
        self.assertEqual(out, b"4\n")
        # Without a majority, reads name every endpoint, as writes do.
        os.kill(next(node for node in dev.nodes if node != victim)["pid"], signal.SIGKILL)
        for command in (("get", "n"), ("put", "n", "5")):
            _, error = self.run_program("bop", "--endpoint", endpoints, "--timeout", "1s", *command, code=3)
            for node in dev.nodes:
                self.assertIn(node["native"] + ": ", error)


if __name__ == "__main__":
    unittest.main()
