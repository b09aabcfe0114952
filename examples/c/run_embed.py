#!/usr/bin/env python3
"""Runs the example twice in one directory, on free ports. The second run continues with the existing data."""

import socket
import subprocess
import sys
import tempfile


def free_ports(count):
    """The first of `count` free ports in a row."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = probe.getsockname()[1]
        taken = []
        try:
            for port in range(first, first + count):
                taken.append(socket.socket())
                taken[-1].bind(("127.0.0.1", port))
            return first
        except (OSError, OverflowError):
            continue
        finally:
            for used in taken:
                used.close()


def main():
    with tempfile.TemporaryDirectory(prefix="bop-embed-") as directory:
        for _ in range(2):
            done = subprocess.run([sys.argv[1], directory, str(free_ports(3))], capture_output=True, text=True,
                                  timeout=50, check=False)
            print(done.stdout, done.stderr, sep="")
            assert done.returncode == 0, f"embed exited with {done.returncode}"
            for k in (1, 2, 3):
                assert f"node {k} reads: hello from one process\n" in done.stdout
            assert done.stdout.endswith("stopped\n")


if __name__ == "__main__":
    main()
