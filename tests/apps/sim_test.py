#!/usr/bin/env python3
"""The command line of bop-sim. The simulation itself is tested in tests/sim."""

import os
import re
import subprocess
import unittest

from running import BIN, LIMIT_S, Case

LAST = 2**64 - 1


class Sim(Case):
    def test_runs_the_largest_seed(self):
        out, _ = self.run_program("bop-sim", "--seeds", f"{LAST - 1}..{LAST}", "--minutes", "0.01")
        lines = out.decode().splitlines()
        self.assertEqual(len([line for line in lines if line.startswith("trace ")]), 2)
        self.assertRegex(lines[-1], "^trace [0-9a-f]{16} ok$")
        alone, _ = self.run_program("bop-sim", "--seed", LAST, "--minutes", "0.01")
        self.assertEqual(alone.decode().splitlines()[-1], lines[-1])

    def test_a_usage_error_exits_with_2(self):
        for wrong in (("--seed", "-1"), ("--seed", LAST + 1), ("--seed", "010"), ("--seed",), ("--seeds", "3..2"),
                      ("--seeds", f"0..{LAST + 1}"), ("--seeds", "-1..3"), ("--seeds", "3"), ("--minutes", "nan"),
                      ("--minutes", "0"), ("--nodes", "10"), ("--faults", "boredom"), ("--only-faults", "1,x"),
                      ("--shrink", "--seeds", "1..2"), ("--wrong",), ("foo",)):
            _, error = self.run_program("bop-sim", *wrong, code=2)
            self.assertNotEqual(error, "")

    def test_explains_events_of_a_time_once_with_node_and_time(self):
        out, _ = self.run_program("bop-sim", "--seed", "3", "--nodes", "3", "--minutes", "0.1", "--explain", "--from",
                                  "0.5", "--to", "3")
        times = [float(match[1]) for line in out.decode().splitlines() if (match := re.match(r"(\d+\.\d{9}) ", line))]
        self.assertGreater(len(times), 10)
        self.assertEqual(times, sorted(times))
        self.assertTrue(0.5 <= times[0] and times[-1] <= 3, times)
        self.assertRegex(out.decode(), r"(?m)^\d+\.\d{9} node \d (info|debug) group kv1, term \d+: ")
        self.assertNotRegex(out.decode(), r"node \d (info|debug) node|heartbeat")

    def test_without_faults_a_run_has_none(self):
        out, _ = self.run_program("bop-sim", "--seed", "3", "--minutes", "0.1", "--only-faults", "none")
        self.assertRegex(out.decode(), "(?m)^  faults:$")

    # The bug is there so that a seed fails.
    def test_a_failure_shrinks_to_one_that_its_command_repeats(self):
        seeded = os.path.join(BIN, "bop-sim-seeded")
        if not os.path.exists(seeded):
            self.skipTest("bop-sim-seeded is not built")
        out, _ = self.run_program("bop-sim", "--bug", "durable_before_sync", "--seeds", "1..1000", "--minutes", "0.5", code=1)
        failed = out.decode().splitlines()[-1]
        repeat = re.search(r"\(repeat: bop-sim (.*)\)$", failed)[1].split()
        out, _ = self.run_program("bop-sim", *repeat, "--shrink", code=1)
        smallest = out.decode().splitlines()[-1]
        command = re.search(r"\(repeat: bop-sim (.*)\)$", smallest)[1].split()
        self.assertLess(float(command[command.index("--minutes") + 1]), 0.5)
        self.assertIn("--only-faults", command)
        again, _ = self.run_program("bop-sim", *command, code=1)
        self.assertEqual(re.sub("at .* s: ", "", again.decode().splitlines()[-1]), smallest)

    def test_a_closed_standard_output_is_reported_and_not_written_into_the_trace(self):
        trace = self.path("trace.txt")
        done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", os.path.join(BIN, "bop-sim"), "--minutes", "0.01",
                               "--trace", trace], capture_output=True, text=True, timeout=LIMIT_S, check=False)
        self.assertEqual(done.returncode, 2, done)
        self.assertIn("standard output could not be written", done.stderr)
        with open(trace, encoding="utf-8") as file:
            self.assertFalse([line for line in file if line.startswith("trace ")])


if __name__ == "__main__":
    unittest.main()
