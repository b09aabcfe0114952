"""Nodes in network namespaces of their own, with real links between them, which drop and slow down real packets.

    node 1 ─ eth0 ═══ n1 ┐
    node 2 ─ eth0 ═══ n2 ┼─ the test's namespace passes packets on
    node 3 ─ eth0 ═══ n3 ┘

The namespaces belong to the test's processes and end with them. Needs unprivileged user namespaces (or root) and iproute2.
"""

import os
import shutil
import subprocess
import sys

from harness.hand import HandCluster
from harness.process import run

INSIDE = "BOP_TEST_NETNS"
TOOLS = ("unshare", "nsenter", "ip", "tc")
PORTS = {"native": 7100, "resp": 7101, "http": 7102, "peer": 7103}


def _path():
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def enter():
    """Runs this program again as root of new user and network namespaces. False where that is not possible."""
    os.environ["PATH"] = _path()
    if INSIDE in os.environ:
        run(["ip", "link", "set", "lo", "up"])
        with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as file:
            file.write("1")
        return True
    if not all(map(shutil.which, TOOLS)):
        return False
    # All that is needed, on a link that is gone at once.
    probe = "ip link add p0 type veth peer name p1 && ip link set p0 up && tc qdisc add dev p0 root tbf " \
            "rate 1mbit burst 2000 latency 50ms && echo 1 > /proc/sys/net/ipv4/ip_forward"
    if subprocess.run(["unshare", "-Urn", "sh", "-c", probe], capture_output=True, check=False).returncode != 0:
        return False
    os.environ[INSIDE] = "1"
    sys.stdout.flush()
    os.execvp("unshare", ["unshare", "-Urn", sys.executable, *sys.argv])
    return False


class NetnsCluster(HandCluster):
    """Every node at 10.9.ID.2, behind the link nID. Links are changed in the direction in which packets travel on them."""

    def __init__(self, nodes=3, settings=None):
        super().__init__(nodes, {"insecure": "true", **(settings or {})})
        self.holders = {}
        try:
            for node in self.nodes:
                self._make_namespace(node)
        except BaseException:
            self.stop()
            raise

    def make_node(self, number):
        node = super().make_node(number)
        for name, port in PORTS.items():
            setattr(node, name, f"10.9.{number}.2:{port}")
        node.listen_peer = node.peer
        return node

    def _link(self):
        pass  # the namespaces do it

    def _make_namespace(self, node):
        holder = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "-n", "sh", "-c",
                                   "echo made; exec sleep infinity"], stdout=subprocess.PIPE)
        self.holders[node.id] = holder
        assert holder.stdout.readline() == b"made\n"
        link = f"n{node.id}"
        run(["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", holder.pid])
        run(["ip", "addr", "add", f"10.9.{node.id}.1/24", "dev", link])
        run(["ip", "link", "set", link, "up"])
        self.inside(node, ["ip", "addr", "add", f"10.9.{node.id}.2/24", "dev", "eth0"])
        self.inside(node, ["ip", "link", "set", "lo", "up"])
        self.inside(node, ["ip", "link", "set", "eth0", "up"])
        self.inside(node, ["ip", "route", "add", "default", "via", f"10.9.{node.id}.1"])

    def _enter(self, node):
        return ["nsenter", "--target", str(self.holders[node.id].pid), "--net"]

    def inside(self, node, command):
        return run([*self._enter(node), *command])

    def command(self, node):
        return [*self._enter(node), *super().command(node)]

    def stop(self):
        super().stop()
        # A namespace is gone some time after its last process; until then its link keeps its name.
        for number in self.holders:
            subprocess.run(["ip", "link", "del", f"n{number}"], capture_output=True, check=False)
        for holder in self.holders.values():
            holder.kill()
            holder.wait()
            holder.stdout.close()

    # ---- links ----

    def limit_to(self, node, *tbf):
        """The link that carries packets to the node: arguments of tc's token bucket filter."""
        run(["tc", "qdisc", "replace", "dev", f"n{node.id}", "root", "tbf", *tbf])

    def limit_from(self, node, *tbf):
        """The link that carries packets from the node."""
        self.inside(node, ["tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", *tbf])

    def lose_large(self, node, over_bytes=700):
        """Packets from the node that are larger vanish, as on a path with a wrong MTU: no packet fits the bucket."""
        self.limit_from(node, "rate", "100mbit", "burst", str(over_bytes), "latency", "50ms")

    def mend(self, node):
        for command, where in ((run, f"n{node.id}"), (lambda c: self.inside(node, c), "eth0")):
            command(["tc", "qdisc", "replace", "dev", where, "root", "pfifo"])

    def dropped(self, node):
        """Packets that the link from the node dropped."""
        text = self.inside(node, ["tc", "-s", "qdisc", "show", "dev", "eth0"]).stdout
        return int(text.split("dropped ")[1].split(",")[0])
