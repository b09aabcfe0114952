"""Waiting for conditions. Tests wait for conditions, never for a fixed time."""

import time

POLL_S = 0.02
DEADLINE_S = 60.0  # generous: it only decides how long a broken test takes to say so


def wait_until(condition, what, deadline_s=DEADLINE_S, poll_s=POLL_S):
    """Returns the first true value of the condition. Raises AssertionError, with `what`, after the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"waited {deadline_s} s in vain: {what}")
        time.sleep(poll_s)


def holds_for(condition, seconds, what, poll_s=POLL_S):
    """Raises AssertionError as soon as the condition is false."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not condition():
            raise AssertionError(f"did not hold for {seconds} s: {what}")
        time.sleep(poll_s)
