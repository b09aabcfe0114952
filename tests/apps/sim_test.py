#!/usr/bin/env python3
"""The command line of bop-sim. The simulation itself is tested in tests/sim."""

import os
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
                      ("--minutes", "0"), ("--nodes", "10"), ("--faults", "boredom"), ("--wrong",), ("foo",)):
            _, error = self.run_program("bop-sim", *wrong, code=2)
            self.assertNotEqual(error, "")

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
