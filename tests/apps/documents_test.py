#!/usr/bin/env python3
"""Manual pages and completions have the commands and options that the programs accept."""

import os
import re
import shutil
import subprocess
import unittest

from running import BIN, LIMIT_S, Case

PROGRAMS = ("bop", "bopd")


class Documents(Case):
    def document(self, program, kind):
        return self.run_program(program, "--make-document", kind)[0].decode()

    def run_checked(self, *command, **options):
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False,
                              env=self.environment(None), **options)
        self.assertEqual(done.returncode, 0, done)
        return done.stdout

    def help(self, *command):
        return self.run_program(*command, "--help")[0].decode()

    def commands(self, *path):
        """The program and all its commands, from their help."""
        yield path
        listed = re.search(r"\nSubcommands:\n((?:  .*\n)+)", self.help(*path))
        for name in re.findall(r"^  (\S+)", listed[1], re.M) if listed else ():
            yield from self.commands(*path, name)

    def options(self, *command):
        return set(re.findall(r"^  (?:-\w,)?(--[\w-]+)", self.help(*command), re.M))

    def needs(self, tool):
        if not shutil.which(tool):
            self.skipTest(f"there is no {tool} here")

    # ---- manual pages ----

    def test_a_manual_page_has_every_command_and_option(self):
        for program in PROGRAMS:
            page = self.document(program, "man")
            for command in self.commands(program):
                if not any(other[:len(command)] == command != other for other in self.commands(program)):
                    self.assertIn('.SS "' + " ".join(command), page)
                for option in self.options(*command) - {"--help"}:
                    self.assertIn("\\fB" + option.replace("-", "\\-") + "\\fR", page)
            self.assertIn("Exit codes:", page)

    def test_a_manual_page_is_well_formed(self):
        self.needs("mandoc")
        for program in PROGRAMS:
            path = self.write(f"{program}.1", self.document(program, "man"))
            self.run_checked("mandoc", "-T", "lint", "-W", "error", path)
            text = self.run_checked("mandoc", "-T", "utf8", path)
            self.assertIn(program, text)

    # ---- completions ----

    def words_of_bash(self, program, *words):
        script = self.write(f"{program}.bash", self.document(program, "bash"))
        text = (f'. "{script}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _{program}; '
                'printf "%s\\n" "${COMPREPLY[@]}"')
        return self.run_checked("bash", "-euc", text, "bash", program, *words, cwd=self.directory).split()

    def words_of_fish(self, program, *words):
        script = self.write(f"{program}.fish", self.document(program, "fish"))
        line = " ".join((program, *words))
        listed = self.run_checked("fish", "--no-config", "-c", f'source {script}; complete -C "{line}"', cwd=self.directory)
        return [found.split("\t")[0] for found in listed.splitlines()]

    def words_of_zsh(self, program, *words):
        """Replaces zsh's completion functions with ones that print their arguments."""
        script = self.write(f"_{program}", self.document(program, "zsh"))
        text = """
_describe() { local list=${@[-1]}; print -l -- ${${(P)list}%%:*} }
compadd() { shift; print -l -- "$@" }
_files() { print -l -- *(N) }
words=("$@[2,-1]"); CURRENT=$#words; PREFIX=$words[CURRENT]
source $1
"""
        listed = self.run_checked("zsh", "-fc", text, "zsh", script, program, *words, cwd=self.directory)
        return [word for word in listed.splitlines() if word.startswith(words[-1])]

    def check(self, words_of):
        self.write("some.toml", "")
        for program in PROGRAMS:
            for command in self.commands(program):
                below = {path[len(command)] for path in self.commands(program)
                         if path[:len(command)] == command and len(path) == len(command) + 1}
                self.assertLessEqual(below, set(words_of(*command, "")))
                self.assertLessEqual(self.options(*command), set(words_of(*command, "--")))
        self.assertEqual(words_of("bop", "st"), ["status"])
        self.assertEqual(words_of("bop", "--timeout", "5s", "-o", "json", "log", "ins"), ["inspect"])
        self.assertEqual(sorted(words_of("bop", "status", "--output", "")), ["json", "table"])
        self.assertIn("some.toml", words_of("bopd", "start", "--config", "some"))
        self.assertNotIn("--prefix", words_of("bop", "put", "--pre"))

    def test_bash_completes_commands_options_and_values(self):
        self.check(self.words_of_bash)

    def test_fish_completes_commands_options_and_values(self):
        self.needs("fish")
        self.check(self.words_of_fish)

    def test_zsh_completes_commands_options_and_values(self):
        self.needs("zsh")
        self.check(self.words_of_zsh)


if __name__ == "__main__":
    unittest.main(verbosity=2)
