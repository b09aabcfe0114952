#!/usr/bin/env python3
"""What Redis clients do to a node: users, transactions, pipelines, and clients that do not read."""

from harness.case import SharedDevCase, main
from harness.resp import RespError


class ARedisClient(SharedDevCase):
    def test_logs_in_as_the_default_user_while_no_password_is_configured(self):
        node = self.cluster.nodes[0]
        self.assertEqual(node.call("AUTH", "default", ""), "OK")
        self.assertEqual(node.call("AUTH", "default", "anything"), "OK")
        self.assertIn(b"proto", node.call("HELLO", "2", "AUTH", "default", "x"))
        with self.assertRaisesRegex(RespError, "WRONGPASS"):
            node.call("AUTH", "other", "x")

    def test_runs_nothing_of_a_transaction_that_was_refused(self):
        node = self.cluster.nodes[0]
        with node.client() as client:
            replies = client.pipeline([("MULTI",), ("INCR", "in a transaction"), ("EXEC",)])
            self.assertEqual([type(reply) for reply in replies], [RespError] * 3)
            self.assertEqual(replies[-1].kind, "EXECABORT")
            self.assertIsNone(client.call("GET", "in a transaction"))


if __name__ == "__main__":
    main()
