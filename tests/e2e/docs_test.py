#!/usr/bin/env python3
"""The docs say what the tree is."""

import os
import re
import subprocess
import tempfile
import unittest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
BIN = os.path.realpath(os.environ["BOP_BIN"])


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def documents():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
                            capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.splitlines() if os.path.exists(os.path.join(ROOT, path))]


class Docs(unittest.TestCase):
    def rooms_of_the_build(self):
        text = read("cmake/module.cmake")
        modules = re.search(r"set\(BOP_MODULES ([^)]*)\)", text).group(1).split()
        may = dict(re.findall(r"set\(bop_module_(\w+)_may ?([^)]*)\)", text))
        return {room: {name.replace("raft_types", "raft/types.h") for name in may[room].split()} for room in modules}

    def rooms_of_the_table(self):
        table = re.search(r"<!-- modules -->\n(.*?)<!-- end of modules -->", read("docs/ARCHITECTURE.md"), re.S).group(1)
        rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", table, re.M)
        modules = {}
        for room, may in rows:
            names = set(filter(None, (name.strip() for name in may.split(","))))
            modules[room] = (set(modules) - {"base"}) if names == {"all above"} else names
        return modules

    def test_the_table_of_modules_is_the_one_that_the_build_enforces(self):
        build, table = self.rooms_of_the_build(), self.rooms_of_the_table()
        self.assertEqual(list(table), list(build))
        for room, may in build.items():
            self.assertEqual(table[room], may - {"machine_kv"}, room)

    def test_every_module_has_a_readme(self):
        for room in self.rooms_of_the_build():
            folder = os.path.join("src", room)
            if os.path.exists(os.path.join(ROOT, folder, "CMakeLists.txt")):
                self.assertTrue(os.path.exists(os.path.join(ROOT, folder, "README.md")), folder)

    def test_every_link_in_the_docs_has_a_target(self):
        for path in documents():
            text = re.sub(r"```.*?```", "", read(path), flags=re.S)  # code is full of brackets
            for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
                if not re.match(r"https?:|mailto:", target):
                    found = os.path.join(ROOT, os.path.dirname(path), target)
                    self.assertTrue(os.path.exists(found), f"{path} links to {target}")

    def test_the_patches_of_the_hacking_page_apply(self):
        """Each task by itself, as a reader does it."""
        tasks = re.findall(r"^## Task: (.*?)\n(.*?)(?=^## |\Z)", read("docs/HACKING.md"), re.S | re.M)
        self.assertEqual(len(tasks), 3)
        for title, text in tasks:
            patch = "".join(re.findall(r"```diff\n(.*?)```", text, re.S))
            self.assertTrue(patch, title)
            done = subprocess.run(["git", "apply", "--check", "--recount", "-"], cwd=ROOT, input=patch, text=True,
                                  capture_output=True, check=False)
            self.assertEqual(done.returncode, 0, f"{title}: {done.stderr}")

    def test_the_short_commands_of_the_hacking_page_work(self):
        blocks = re.findall(r"<!-- runs -->\n```sh\n(.*?)```", read("docs/HACKING.md"), re.S)
        self.assertTrue(blocks)
        with tempfile.TemporaryDirectory(prefix="bop-e2e-") as folder:
            for block in blocks:
                script = re.sub(r"build/(release/bin)?", lambda found: BIN if found.group(1) else folder + "/", block)
                done = subprocess.run(["bash", "-ec", script], cwd=ROOT, capture_output=True, text=True, timeout=200,
                                      check=False)
                self.assertEqual(done.returncode, 0, f"{block}\n{done.stdout}{done.stderr}")

    def test_ci_runs_the_command_that_the_readme_names(self):
        self.assertIn("`./scripts/test`", read("README.md"))
        self.assertIn("scripts/test", read(".ci/run"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
