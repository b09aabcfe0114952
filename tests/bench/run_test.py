#!/usr/bin/env python3
"""bench/run, for a moment: its loaders, the floor, and what it makes of what they say."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/e2e"))
sys.path.insert(0, os.path.join(ROOT, "bench"))

from harness.ports import free_block  # noqa: E402
from parts import machine, plan, report  # noqa: E402

SYSTEMS = ("bop native", "bop RESP", "floor")
BEFORE = ("bop native, before", "bop RESP, before")


def figures(ops_per_s):
    return {"ops_per_s": ops_per_s, "p50_us": 1e6 / ops_per_s, "p99_us": 1, "max_us": 1, "cpu_us_per_op": 1}


class Run(unittest.TestCase):
    def test_every_system_that_needs_no_package_is_measured_at_every_load(self):
        with tempfile.TemporaryDirectory(dir=os.path.dirname(os.environ["BOP_BIN"])) as folder:
            if machine.file_system(folder) in machine.IN_MEMORY:
                self.skipTest("the build is in memory, where bench/run measures nothing")
            found = os.path.join(folder, "found.json")
            for _ in range(3):  # another test may take a port before it is listened on
                done = subprocess.run(
                    [os.path.join(ROOT, "bench/run"), "--quick", "--seconds", "0.2", "--clients", "4", "--systems",
                     ",".join(SYSTEMS), "--base-port", str(free_block(90)), "--data", folder, "--json", found, "--before",
                     os.environ["BOP_BIN"]],
                    capture_output=True, text=True, timeout=240, check=False)
                if "in use" not in done.stderr and "listened on" not in done.stderr:
                    break
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(found, encoding="utf-8") as file:
                rows = json.load(file)["rounds"]
        wanted = {(kind, pipeline, system) for kind in ("put", "get") for pipeline in (1, 16) for system in (*SYSTEMS, *BEFORE)
                  if (kind, system) != ("get", "floor")}
        self.assertEqual({(row["kind"], row["pipeline"], row["system"]) for row in rows}, wanted)
        for row in rows:
            self.assertEqual(row["errors"], 0, row)
            self.assertGreater(row["ops"], 10, row)
            self.assertGreater(row["p50_us"], 0, row)
            self.assertGreaterEqual(row["max_us"], row["p99_us"], row)
            self.assertGreater(row["cpu_us_per_op"], 0, row)
            self.assertIn(f"| {row['system']} |", done.stdout)

    def test_a_loader_whose_server_refuses_its_writes_fails(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            loader = subprocess.Popen(
                [os.path.join(os.environ["BOP_BIN"], "bench_resp"), "--endpoint",
                 f"127.0.0.1:{server.getsockname()[1]}", "--time", "0.01"], stdout=subprocess.PIPE, text=True)
            client = server.accept()[0]
            with client:
                while loader.poll() is None and client.recv(4096):
                    client.sendall(b"-ERR no\r\n")
            said = json.loads(loader.communicate(timeout=60)[0])
        self.assertEqual(loader.returncode, 1)
        self.assertEqual((said["ops"], said["last_error"]), (0, "ERR no"))
        self.assertGreater(said["errors"], 0)


class Plan(unittest.TestCase):
    def test_puts_and_gets_have_every_number_of_clients_and_every_pipeline(self):
        rows = plan.loads(1000, 1, (1, 64), (1, 16))
        self.assertEqual([(row.kind, row.pipeline, row.clients) for row in rows],
                         [(kind, pipeline, clients) for kind in ("put", "get") for pipeline in (1, 16)
                          for clients in (1, 64)])

    def test_a_change_is_the_median_of_the_rounds_ratios(self):
        put = plan.loads(1000, 1, (64,), (1,))[0]
        samples = [(put, name, figures(speed)) for now, then in ((90, 100), (200, 100), (40, 50))
                   for name, speed in (("bop RESP", now), ("before", then), ("floor", 1))]
        self.assertEqual(report.changes(samples, {"bop RESP": "before"}).splitlines()[2:],
                         [f"| {put.sentence()} | bop RESP | 0.900 | 0.80 | 2.00 | 1.000 |"])

    def test_a_target_is_missed_by_what_is_below_it(self):
        put, get = plan.loads(1000, 1, (256,), (1,))
        for speed, met in ((499, False), (501, True)):
            found = report.targets({(put, "bop RESP"): figures(speed), (put, "floor"): figures(1000),
                                    (get, "bop RESP"): figures(speed), (get, "etcd"): figures(100)}, 1000)
            self.assertEqual([one[-1] for one in found], [met, met])


if __name__ == "__main__":
    unittest.main()
