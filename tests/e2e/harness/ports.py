"""Finds free ports, below the range of ephemeral ports."""

import os
import random
import socket

FIRST, LAST = 20000, 32000
HOST = "127.0.0.1"

_random = random.Random(os.getpid())


def is_free(port):
    with socket.socket() as probe:
        # As servers do, so that a port in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_block(count):
    """The first of `count` consecutive ports on which nothing listens."""
    for _ in range(1000):
        first = _random.randrange(FIRST, LAST - count)
        if all(is_free(port) for port in range(first, first + count)):
            return first
    raise AssertionError(f"no {count} consecutive free ports")
