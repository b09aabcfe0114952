#!/usr/bin/env python3
"""Runs the example: three nodes that are killed and started again, and no money is made or lost."""

import random
import subprocess
import sys
import tempfile
import time

from run_embed import free_ports

NAMES = ["alice", "bob", "carol", "dave"]


class Node:
    def __init__(self, number, directory, port):
        self.arguments = [sys.argv[1], str(number), directory, str(port)]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line == f"node {self.arguments[1]} runs\n", line

    def kill(self):
        self.process.kill()
        self.process.wait()

    def ask(self, line):
        """The reply: a status, and the rest."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        status, _, rest = self.process.stdout.readline().rstrip("\n").partition(" ")
        return status, rest

    def until_answered(self, line):
        """Repeats what was not executed, as while there is no leader."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            status, rest = self.ask(line)
            if status not in ("BOP_E_UNAVAILABLE", "BOP_E_TIMEOUT"):
                return status, rest
            time.sleep(0.1)
        raise AssertionError(f"no answer to {line}")


def transfer(nodes, choose, balances):
    """One transfer through any of the nodes; `balances` follows it, unless its outcome is not known."""
    source, target = choose.sample(NAMES, 2)
    amount = choose.randint(1, 40)
    status, rest = choose.choice(nodes).until_answered(f"transfer {source} {target} {amount}")
    if status == "ok":
        balances[source] -= amount
        balances[target] += amount
        assert int(rest) == balances[source], (source, rest, balances)
        return True
    if status == "BOP_E_OUTCOME_UNKNOWN":
        for name in NAMES:
            balances[name] = int(nodes[0].until_answered(f"? balance {name}")[1])
        return False
    assert status == "BOP_E_CONDITION_FAILED" and balances[source] < amount, (status, rest, balances)
    return False


def expect(nodes, balances):
    for node in nodes:
        for name in NAMES:
            assert node.until_answered(f"? balance {name}") == ("ok", str(balances[name])), (name, balances)
        assert node.until_answered("? total") == ("ok", str(100 * len(NAMES)))


def main():
    choose = random.Random(1)
    print(subprocess.run([sys.argv[1], "self-test"], check=True, capture_output=True, text=True).stdout, end="")
    with tempfile.TemporaryDirectory(prefix="bop-bank-") as directory:
        port = free_ports(3)
        nodes = [Node(number, directory, port) for number in (1, 2, 3)]
        try:
            for name in NAMES:
                assert nodes[0].until_answered(f"open {name}") == ("ok", "0")
                assert nodes[1].until_answered(f"deposit {name} 100") == ("ok", "100")
            assert nodes[2].until_answered("open alice")[0] == "BOP_E_CONDITION_FAILED"
            assert nodes[2].until_answered("withdraw alice 1")[0] == "BOP_E_PROTOCOL"
            assert nodes[2].until_answered("transfer alice nobody 1")[0] == "BOP_E_NOT_FOUND"
            balances = {name: 100 for name in NAMES}
            done = 0
            for killed in range(3):
                done += sum(transfer(nodes, choose, balances) for _ in range(40))
                nodes[killed].kill()
                others = [node for node in nodes if node is not nodes[killed]]
                done += sum(transfer(others, choose, balances) for _ in range(40))
                nodes[killed].start()
            expect(nodes, balances)
            for node in nodes:
                node.kill()
            for node in nodes:
                node.start()
            expect(nodes, balances)
            print(f"{done} transfers, {balances}")
        finally:
            for node in nodes:
                node.kill()


main()
