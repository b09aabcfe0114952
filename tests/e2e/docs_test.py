#!/usr/bin/env python3
"""The documentation agrees with the tree: modules, links, examples, commands and patches.

The commands of README.md and docs/LIFE_OF_A_KEY.md run in readme_test.py, the JSON of docs/formats/http.md is compared
with a real response in kv_test.py.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
BIN = os.path.realpath(os.environ["BOP_BIN"])
BUILD = os.path.dirname(BIN)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def documents():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
                            capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.splitlines() if os.path.exists(os.path.join(ROOT, path))]


def anchors(text):
    """The anchors that GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def blocks(path, language, marker=""):
    """The code blocks of a document in this language, of those behind the marker if one is given."""
    return re.findall(rf"^{re.escape(marker)}```{language}\n(.*?)^```$", read(path), re.S | re.M)


class Docs(unittest.TestCase):
    # ---- modules ----

    def modules_of_the_build(self):
        text = read("cmake/module.cmake")
        modules = re.search(r"set\(BOP_MODULES ([^)]*)\)", text).group(1).split()
        may = dict(re.findall(r"set\(bop_module_(\w+)_may ?([^)]*)\)", text))
        return {module: {name.replace("raft_types", "raft/types.h") for name in may[module].split()}
                for module in modules}

    def modules_of_the_table(self):
        table = re.search(r"<!-- modules -->\n(.*?)<!-- end of modules -->", read("docs/ARCHITECTURE.md"), re.S).group(1)
        rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", table, re.M)
        modules = {}
        for module, may in rows:
            names = set(filter(None, (name.strip() for name in may.split(","))))
            modules[module] = (set(modules) - {"base"}) if names == {"all above"} else names
        return modules

    def test_the_table_of_modules_is_the_one_that_the_build_enforces(self):
        build, table = self.modules_of_the_build(), self.modules_of_the_table()
        self.assertEqual(list(table), list(build))
        for module, may in build.items():
            self.assertEqual(table[module], may - {"machine_kv"}, module)

    def test_every_module_has_a_readme(self):
        for module in self.modules_of_the_build():
            folder = os.path.join("src", module)
            if os.path.exists(os.path.join(ROOT, folder, "CMakeLists.txt")):
                self.assertTrue(os.path.exists(os.path.join(ROOT, folder, "README.md")), folder)

    # ---- links and examples ----

    def test_every_link_in_the_docs_has_a_target(self):
        for path in documents():
            for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", read(path)):
                if re.match(r"https?:|mailto:", target):
                    continue
                found = os.path.normpath(os.path.join(os.path.dirname(path), target)) if target else path
                self.assertTrue(os.path.exists(os.path.join(ROOT, found)), f"{path} links to {target}")
                if anchor:
                    self.assertIn(anchor, anchors(read(found)), f"{path} links to {found}#{anchor}")

    def test_the_configuration_example_is_valid(self):
        (example,) = blocks("docs/CONFIGURATION.md", "toml")
        with tempfile.TemporaryDirectory(prefix="bop-e2e-") as folder:
            path = os.path.join(folder, "bopd.toml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(example)
            checked = subprocess.run([os.path.join(BIN, "bopd"), "config", "check", "--config", path],
                                     capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(checked.returncode, 0, checked.stderr)

    def test_every_json_example_is_json(self):
        for path in documents():
            for example in blocks(path, "json"):
                json.loads(example)

    def test_every_block_of_commands_runs_in_a_test_or_says_why_not(self):
        tested = {"README.md": "", "docs/LIFE_OF_A_KEY.md": "<!-- runs with the README's nodes -->\n"}
        for path in documents():
            text = read(path)
            for found in re.finditer(r"^```sh\n(.*?)^```$", text, re.S | re.M):
                if path == "README.md":
                    continue  # readme_test.py runs all of them
                before = text[:found.start()].splitlines()[-1:]
                marker = before[0] if before else ""
                self.assertRegex(marker, r"^<!-- (runs|runs with the README's nodes|run by docs_test\.py|not run: .{10,}) -->$",
                                 f"{path}: {found.group(1)}")
        self.assertTrue(all(blocks(path, "sh", marker) for path, marker in tested.items()))

    def test_the_short_commands_of_each_page_work(self):
        scripts = [script for path in documents() for script in blocks(path, "sh", "<!-- runs -->\n")]
        self.assertGreater(len(scripts), 1)
        with tempfile.TemporaryDirectory(prefix="bop-e2e-") as folder:
            for script in scripts:
                script = re.sub(r"build/(release/bin)?", lambda found: BIN if found.group(1) else folder + "/", script)
                done = subprocess.run(["bash", "-ec", script], cwd=ROOT, capture_output=True, text=True, timeout=200,
                                      check=False)
                self.assertEqual(done.returncode, 0, f"{script}\n{done.stdout}{done.stderr}")

    # ---- docs/HACKING.md ----

    def test_the_patches_of_the_hacking_page_apply_and_the_changed_files_compile(self):
        """Each task alone, on a copy of the tree, with the commands of the page. Building and running the tests that the
        page names would take minutes: a new error recompiles almost everything."""
        (function,) = blocks("docs/HACKING.md", "sh", "<!-- run by docs_test.py -->\n")
        titles = re.findall(r"^## Task: (.*)$", read("docs/HACKING.md"), re.M)
        self.assertEqual(len(titles), 3)
        for title in titles:
            with self.subTest(title=title), tempfile.TemporaryDirectory(prefix="bop-e2e-") as tree:
                for folder in ("src", "include", "tests", "docs"):
                    shutil.copytree(os.path.join(ROOT, folder), os.path.join(tree, folder),
                                    ignore=shutil.ignore_patterns("__pycache__", "*.json"))
                (apply,) = re.findall(rf"^task '{title}' \| git apply --recount$", read("docs/HACKING.md"), re.M)
                self.run_in(tree, function + apply)
                changed = self.changed(tree)
                self.assertTrue(changed, title)
                for path in changed:
                    if path.endswith(".cpp"):
                        self.compile(tree, path)

    def run_in(self, tree, script):
        done = subprocess.run(["bash", "-ec", script], cwd=tree, capture_output=True, text=True, timeout=100, check=False,
                              env={**os.environ, "GIT_CEILING_DIRECTORIES": os.path.dirname(tree)})
        self.assertEqual(done.returncode, 0, f"{script}\n{done.stdout}{done.stderr}")

    def changed(self, tree):
        out = []
        for folder, _, names in os.walk(tree):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), tree)
                with open(os.path.join(tree, path), "rb") as copy, open(os.path.join(ROOT, path), "rb") as original:
                    if copy.read() != original.read():
                        out.append(path)
        return out

    def compile(self, tree, path):
        """Checks a file of the copy with the command of the build, but with the headers of the copy."""
        with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as file:
            (entry,) = [entry for entry in json.load(file) if entry["file"] == os.path.join(ROOT, path)]
        words = shlex.split(entry["command"])
        output = words.index("-o")
        del words[output:output + 2]
        at = next(at for at, word in enumerate(words) if re.search(r"(^|/)(clang|g)\+\+", word))
        options = [word.replace(os.path.join(ROOT, path), os.path.join(tree, path)) for word in words[at + 1:]]
        done = subprocess.run([words[at], "-fsyntax-only", *self.include_roots(tree), *options], cwd=entry["directory"],
                              capture_output=True, text=True, timeout=200, check=False)
        self.assertEqual(done.returncode, 0, f"{path}: {done.stderr}")

    def include_roots(self, tree):
        """Options for the headers of the copy: "<module>/file.h" is found below a folder of its own, as in the build."""
        roots = [os.path.join(tree, "include")]
        for module in os.listdir(os.path.join(tree, "src")):
            root = os.path.join(tree, "roots", module)
            if not os.path.exists(root):
                os.makedirs(root)
                os.symlink(os.path.join(tree, "src", module), os.path.join(root, module))
            roots.append(root)
        return [f"-I{root}" for root in roots]

    def test_ci_runs_the_command_that_the_readme_names(self):
        self.assertIn("`./scripts/test`", read("README.md"))
        self.assertIn("scripts/test", read(".ci/run"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
