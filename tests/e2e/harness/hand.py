"""A cluster started by hand: `bopd format` and `bopd start`, with a proxy before each node."""

import os
import uuid

from harness.cluster import Cluster
from harness.node import Node
from harness.ports import HOST, free_block
from harness.process import program, run
from harness.proxy import Network
from harness.waiting import wait_until

SETTINGS = {"log.segment_bytes": 4 << 20}
PORTS_A_NODE = 5


class HandCluster(Cluster):
    """Nodes that reach each other only through `network`."""

    def __init__(self, nodes=3, settings=None):
        super().__init__()
        self.settings = {**SETTINGS, **(settings or {})}
        self.cluster_id = uuid.uuid4().hex
        self.network = Network()
        self.first_port = free_block(PORTS_A_NODE * nodes)
        for number in range(1, nodes + 1):
            self.nodes.append(self.make_node(number))

    def make_node(self, number):
        """Its ports; others reach it at `peer`, where the proxy passes on to `listen_peer`."""
        first = self.first_port + PORTS_A_NODE * (number - 1)
        *ports, listen_peer = [f"{HOST}:{first + i}" for i in range(PORTS_A_NODE)]
        node = Node(number, 0, os.path.join(self.scratch, str(number)), *ports)
        node.listen_peer = listen_peer
        return node

    def start(self):
        try:
            self._link()
            for node in self.nodes:
                self._write_configuration(node)
                run([*self.program_of(node), "format", "--config", node.configuration])
            for node in self.nodes:
                self.start_node(node)
            self.wait_until_ready()
            return self
        except BaseException:
            print(self.output())
            self.stop()
            raise

    def program_of(self, node):
        """What formats and starts a node."""
        return [program("bopd")]

    def command(self, node):
        """What starts a node."""
        return [*self.program_of(node), "start", "--config", node.configuration]

    def start_node(self, node):
        node.pid = self.start_process(f"node{node.id}", self.command(node)).pid

    def stop(self):
        super().stop()
        self.network.close()

    def others(self, node):
        return [other.id for other in self.nodes if other is not node]

    def isolate(self, node):
        self.network.isolate(node.id, self.others(node))

    def _link(self):
        for node in self.nodes:
            self.network.link(node.id, node.peer, node.listen_peer)

    def configuration_text(self, node):
        peers = ",\n".join(f'  {{id = {other.id}, address = "{other.peer}"}}' for other in self.nodes)
        settings = "\n".join(f"{key} = {value}" for key, value in self.settings.items())
        return (f'data_directory = "data"\ncluster_id = "{self.cluster_id}"\nnode_id = {node.id}\n'
                f"peers = [\n{peers}\n]\n"
                f'listen.native = "{node.native}"\nlisten.resp = "{node.resp}"\n'
                f'listen.http = "{node.http}"\nlisten.peer = "{node.listen_peer}"\n{settings}\n')

    def _write_configuration(self, node):
        os.makedirs(node.directory)
        with open(node.configuration, "w", encoding="utf-8") as file:
            file.write(self.configuration_text(node))
