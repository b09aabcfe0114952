#!/usr/bin/env python3
"""The shared libraries export the C interface, whole, and nothing else but what libbopd needs of libbop.

    exports_test.py DIRECTORY       that holds libbop.so and libbopd.so
"""

import os
import re
import subprocess
import sys
import unittest

LIBRARIES = sys.argv.pop(1)
HEADERS = os.path.join(os.path.dirname(__file__), "../../include/bop")


def exports(library):
    """Name -> version of what a library defines; versions themselves left out."""
    listed = subprocess.run(["nm", "-D", "--defined-only", os.path.join(LIBRARIES, library)], capture_output=True,
                            text=True, check=True)
    symbols = (line.split() for line in listed.stdout.splitlines())
    return dict(name.split("@@") for _, kind, name in symbols if kind != "A")


def public(library):
    return {name for name, version in exports(library).items() if version == "BOP_0.1"}


def declared():
    names = set()
    for header in os.listdir(HEADERS):
        with open(os.path.join(HEADERS, header), encoding="utf-8") as file:
            found = re.findall(r"^BOP_API [^;(]*?(\w+)\(", file.read(), re.M)
        names.update(found)
    return names


def of_a_node(names):
    return {name for name in names if name.startswith("bop_node_")}


class Exports(unittest.TestCase):
    def test_libbop_exports_every_function_of_the_headers_but_those_of_a_node(self):
        self.assertEqual(public("libbop.so"), declared() - of_a_node(declared()))

    def test_libbopd_exports_the_functions_of_a_node_alone(self):
        self.assertEqual(set(exports("libbopd.so")), of_a_node(declared()))
        self.assertEqual(public("libbopd.so"), of_a_node(declared()))

    def test_what_libbop_has_for_libbopd_is_bop_s_own_and_of_this_release_alone(self):
        private = {name: version for name, version in exports("libbop.so").items() if version != "BOP_0.1"}
        shown = subprocess.run([os.path.join(os.environ["BOP_BIN"], "bopd"), "--version"], capture_output=True,
                               text=True, check=True)
        self.assertEqual(set(private.values()), {"BOP_PRIVATE_" + shown.stdout.split()[1]})
        names = subprocess.run(["c++filt"], input="\n".join(private), capture_output=True, text=True, check=True)
        for name in names.stdout.splitlines():  # a C handle is a class there
            self.assertRegex(name, r"^(vtable for |VTT for |typeinfo (name )?for |guard variable for |(non-)?virtual "
                             r"thunk to )?(bop::|bop_queue::)")

    def test_a_process_has_one_allocator(self):
        self.assertIn("_ZN3bop3mem8allocateEm", exports("libbop.so"))
        needed = subprocess.run(["nm", "-D", "--undefined-only", os.path.join(LIBRARIES, "libbopd.so")],
                                capture_output=True, text=True, check=True)
        self.assertRegex(needed.stdout, r"_ZN3bop3mem\w+@BOP_PRIVATE_")
        inside = subprocess.run(["nm", os.path.join(LIBRARIES, "libbopd.so")], capture_output=True, text=True,
                                check=True)
        self.assertNotIn("snmalloc", inside.stdout)

    def test_the_programs_replace_operator_new_and_the_libraries_leave_it_to_their_embedder(self):
        for program in ("bopd", "bop"):
            listed = subprocess.run(["nm", "-D", "--defined-only", os.path.join(os.environ["BOP_BIN"], program)],
                                    capture_output=True, text=True, check=True)
            self.assertRegex(listed.stdout, r"(?m) T _Znwm$")
            self.assertRegex(listed.stdout, r"(?m) T _ZdlPv$")
        for library in ("libbop.so", "libbopd.so"):
            self.assertNotIn("_Znwm", exports(library))

    def test_both_carry_a_name_with_the_version_that_they_are_compatible_with(self):
        for library in ("libbop", "libbopd"):
            dynamic = subprocess.run(["readelf", "-d", os.path.join(LIBRARIES, library + ".so")], capture_output=True,
                                     text=True, check=True)
            self.assertRegex(dynamic.stdout, rf"SONAME.*\[{library}\.so\.\d+\.\d+\]")


if __name__ == "__main__":
    unittest.main(verbosity=2)
