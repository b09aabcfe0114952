"""Test cases with a cluster. A failure prints what the nodes said."""

import sys
import unittest

from harness.dev import DevCluster


class Case(unittest.TestCase):
    """Stops what it was given, and shows the processes' output when the test failed."""

    def use(self, cluster):
        """Starts the cluster for this test alone."""
        cluster.start()
        self.addCleanup(cluster.stop)
        self.addCleanup(self._report, cluster)
        return cluster

    def _report(self, cluster):
        outcome = self._outcome.result
        failed = [test for test, _ in outcome.failures + outcome.errors]
        if self in failed or self._failed_now():
            print(f"\n===== what the processes of {self.id()} said\n{cluster.said()}", file=sys.stderr)

    def _failed_now(self):
        # Cleanups run before the result hears of the failure.
        return not self._outcome.success


class SharedDevCase(Case):
    """All tests of the class use one cluster of three nodes: for what leaves it as it was."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = DevCluster().start()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.stop()

    def setUp(self):
        self.addCleanup(self._report, self.cluster)


def main():
    unittest.main(verbosity=2)
