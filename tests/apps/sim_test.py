#!/usr/bin/env python3
"""bop-sim: its command line. What it simulates is tested in tests/sim."""

import unittest

from running import Case

LAST = 2**64 - 1


class Sim(Case):
    def test_runs_the_largest_seed_there_is_and_ends(self):
        out, _ = self.run_program("bop-sim", "--seeds", f"{LAST - 1}..{LAST}", "--minutes", "0.01")
        lines = out.decode().splitlines()
        self.assertEqual(len([line for line in lines if line.startswith("trace ")]), 2)
        self.assertRegex(lines[-1], "^trace [0-9a-f]{16} ok$")
        alone, _ = self.run_program("bop-sim", "--seed", LAST, "--minutes", "0.01")
        self.assertEqual(alone.decode().splitlines()[-1], lines[-1])

    def test_ends_with_2_when_it_is_used_wrongly(self):
        for wrong in (("--seed", "-1"), ("--seed", LAST + 1), ("--seed", "010"), ("--seed",), ("--seeds", "3..2"),
                      ("--seeds", f"0..{LAST + 1}"), ("--seeds", "-1..3"), ("--seeds", "3"), ("--minutes", "nan"),
                      ("--minutes", "0"), ("--nodes", "10"), ("--faults", "boredom"), ("--wrong",), ("foo",)):
            _, error = self.run_program("bop-sim", *wrong, code=2)
            self.assertNotEqual(error, "")


if __name__ == "__main__":
    unittest.main()
