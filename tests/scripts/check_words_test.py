#!/usr/bin/env python3
"""scripts/check-words: what its rules find, and what they leave alone."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class CheckWords(unittest.TestCase):
    def setUp(self):
        self.tree = tempfile.TemporaryDirectory()
        self.addCleanup(self.tree.cleanup)
        os.makedirs(self.path("scripts"))
        shutil.copy(os.path.join(ROOT, "scripts/check-words"), self.path("scripts/check-words"))
        subprocess.run(["git", "init", "-q", self.tree.name], check=True)

    def path(self, name):
        return os.path.join(self.tree.name, name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def check(self, rules, *arguments):
        """The lines that check-words prints with those rules, and its exit code."""
        self.write("scripts/old-words", rules)
        done = subprocess.run([self.path("scripts/check-words"), *arguments], capture_output=True, text=True)
        self.errors = done.stderr
        return done.stdout.splitlines(), done.returncode

    def test_an_old_word_is_reported_with_its_place_and_the_new_word(self):
        self.write("src/a.h", "// Nothing.\n// The room of a log.\n")
        found, code = self.check("[src]\nroom -> capacity\n")
        self.assertEqual(found, ["src/a.h:2: room: write capacity"])
        self.assertEqual(code, 1)

    def test_a_word_ends_at_an_underscore_and_where_the_case_changes(self):
        self.write("src/a.h", "log_room LogRoom rooms mushroom LOGROOM\n")
        found, _ = self.check("[src]\nroom -> a\nRoom -> B\n")
        self.assertEqual(found, ["src/a.h:1: room: write a", "src/a.h:1: Room: write B"])

    def test_what_lies_within_an_allowed_expression_is_right(self):
        self.write("src/a.h", "no room left; the room\n")
        self.assertEqual(self.check("[src]\nroom -> space ! no room\n")[0], ["src/a.h:1: room: write space"])

    def test_a_rule_concerns_its_paths_alone(self):
        self.write("src/a.h", "room\n")
        self.write("sim/a.h", "room\n")
        self.write("simple/a.h", "room\n")
        self.assertEqual(self.check("[sim]\nroom -> space\n")[0], ["sim/a.h:1: room: write space"])

    def test_only_the_paths_given_are_checked(self):
        self.write("src/a.h", "room\n")
        self.write("src/b.h", "room\n")
        self.assertEqual(self.check("[src]\nroom -> space\n", self.path("src/b.h"))[0],
                         ["src/b.h:1: room: write space"])

    def test_a_clean_tree_passes(self):
        self.write("src/a.h", "space\n")
        self.assertEqual(self.check("[src]\nroom -> space\n"), ([], 0))

    def test_a_path_that_does_not_exist_is_an_error(self):
        self.assertNotEqual(self.check("[src nowhere]\nroom -> space\n")[1], 0)
        self.assertIn("old-words:1: no such path: src nowhere", self.errors)

    def test_a_rule_without_a_new_word_is_an_error(self):
        self.write("src/a.h", "room\n")
        self.assertNotEqual(self.check("[src]\nroom\n")[1], 0)
        self.assertIn("old-words:2:", self.errors)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
