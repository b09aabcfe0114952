#!/usr/bin/env python3
"""What `cmake --install` leaves is enough to build and run a C program, with the shared libraries and with the static.

    install_test.py CMAKE BUILD_DIRECTORY
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD = sys.argv.pop(2)
CMAKE = sys.argv.pop(1)
EXAMPLE = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../examples/c"))


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="bop-install-")
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.prefix = os.path.join(cls.temporary.name, "prefix")
        cls.run_checked(CMAKE, "--install", BUILD, "--prefix", cls.prefix)
        folders = [folder for folder, _, files in os.walk(cls.prefix) if "libbopd.pc" in files]
        cls.environment = {**os.environ, "PKG_CONFIG_PATH": folders[0],
                           "LD_LIBRARY_PATH": os.path.dirname(folders[0])}

    @classmethod
    def run_checked(cls, *command, **more):
        done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False, **more)
        assert done.returncode == 0, f"{shlex.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def embed(self, name, *arguments):
        """Builds the examples out of the tree, with what pkg-config says, and runs them."""
        flags = self.run_checked("pkg-config", "--cflags", "--libs", *arguments, "libbopd", env=self.environment)
        if "--static" in arguments:
            flags = flags.replace("-lbopd", "-l:libbopd.a").replace("-lbop ", "-l:libbop.a ")
        for example, sources in (("embed", ["embed.c"]), ("bank", ["bank.c", "bank_machine.c"])):
            program = os.path.join(self.temporary.name, f"{name}_{example}")
            self.run_checked("cc", "-std=c99", *(os.path.join(EXAMPLE, source) for source in sources), "-o", program,
                             *shlex.split(flags))
            linked = self.run_checked("ldd", program, env=self.environment)
            self.assertEqual("libbop.so" in linked, "--static" not in arguments, linked)
            self.run_checked(os.path.join(EXAMPLE, f"run_{example}.py"), program, env=self.environment)

    def test_a_program_is_built_on_the_shared_libraries(self):
        self.embed("shared")

    def test_a_program_is_built_on_the_static_libraries(self):
        self.embed("static", "--static")

    def test_the_commands_are_installed_and_need_no_shared_library_of_ours(self):
        for name in ("bopd", "bop"):
            program = os.path.join(self.prefix, "bin", name)
            self.assertRegex(self.run_checked(program, "--version"), rf"^{name} \d")
            self.assertNotIn("libbop", self.run_checked("ldd", program))

    def test_manual_pages_and_completions_are_installed(self):
        for program in ("bop", "bopd"):
            for path in (f"share/man/man1/{program}.1", f"share/bash-completion/completions/{program}",
                         f"share/zsh/site-functions/_{program}", f"share/fish/vendor_completions.d/{program}.fish"):
                with open(os.path.join(self.prefix, path), encoding="utf-8") as file:
                    self.assertIn(program + (" put" if program == "bop" else " start"), file.read().replace("\\", ""))

    def test_the_unit_file_starts_the_installed_daemon_and_stops_as_it_says(self):
        with open(os.path.join(self.prefix, "lib/systemd/system/bopd.service"), encoding="utf-8") as file:
            unit = file.read()
        start = re.search(r"^ExecStart=(\S+) (.*)$", unit, re.M)
        # It names the prefix that the build was configured with.
        self.assertEqual(os.path.basename(start[1]), "bopd")
        self.assertRegex(self.run_checked(os.path.join(self.prefix, "bin/bopd"), start[2].split()[0], "--help"), "--config")
        self.assertIn("Type=notify\n", unit)
        if shutil.which("systemd-analyze"):
            fixed = os.path.join(self.temporary.name, "bopd.service")
            with open(fixed, "w", encoding="utf-8") as file:
                file.write(unit.replace(start[1], os.path.join(self.prefix, "bin/bopd")).replace("User=bop\n", ""))
            self.run_checked("systemd-analyze", "verify", "--man=no", fixed)


if __name__ == "__main__":
    unittest.main(verbosity=2)
