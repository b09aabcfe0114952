#!/usr/bin/env python3
"""Both I/O backends: the configured one is used, and acknowledged writes survive."""

import ctypes
import errno
import os
import unittest

from harness.case import Case, main
from harness.dev import DevCluster
from harness.load import UniqueLoad


IO_URING_SETUP = 425


def ring_is_allowed():
    """Whether the kernel permits io_uring."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(IO_URING_SETUP, 1, None)
    return ctypes.get_errno() == errno.EFAULT


def has_ring(node):
    folder = f"/proc/{node.pid}/fd"
    for name in os.listdir(folder):
        try:
            if "io_uring" in os.readlink(os.path.join(folder, name)):
                return True
        except FileNotFoundError:  # closed in the meantime
            pass
    return False


class Backend(Case):
    def check(self, backend, ring):
        cluster = self.use(DevCluster(settings={"io.backend": backend}))
        self.assertEqual([has_ring(node) for node in cluster.nodes], [ring] * 3)
        with UniqueLoad(cluster.nodes) as load:
            load.wait_for_progress(1000)
            leader = cluster.wait_for_leader()
            leader.kill()
            cluster.wait_for_leader(other_than=leader)
            load.wait_for_progress(500)
        cluster.restart(leader)
        for node in cluster.nodes:
            self.assertEqual(load.missing(node), [])

    def test_a_pool_of_threads(self):
        self.check("pool", ring=False)

    @unittest.skipUnless(ring_is_allowed(), "io_uring is forbidden here")
    def test_io_uring(self):
        self.check("uring", ring=True)


if __name__ == "__main__":
    main()
