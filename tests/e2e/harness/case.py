"""Test cases with a cluster. After a failure the output of its processes is printed."""

import sys
import unittest

from harness.dev import DevCluster


class Case(unittest.TestCase):
    """Stops its clusters at the end, and prints the output of their processes if the test failed."""

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
            print(f"\n===== output of the processes of {self.id()}\n{cluster.output()}", file=sys.stderr)

    def _failed_now(self):
        # Cleanups run before the failure is recorded in the result.
        return not self._outcome.success


class SharedDevCase(Case):
    """All tests of the class share one cluster of three nodes, which they must not change."""

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
