"""A cluster started by hand: `bopd format` and `bopd start`, with proxies between the nodes."""

import os
import uuid

from harness.cluster import Cluster
from harness.node import Node
from harness.ports import HOST, free_block
from harness.process import program, run
from harness.proxy import Network
from harness.waiting import wait_until

SETTINGS = {"log.segment_bytes": 4 << 20}


class HandCluster(Cluster):
    """Nodes that reach each other only through `network`."""

    def __init__(self, nodes=3, settings=None):
        super().__init__()
        self.settings = {**SETTINGS, **(settings or {})}
        self.cluster_id = uuid.uuid4().hex
        self.network = Network()
        first = free_block(nodes * (4 + nodes))
        for number in range(1, nodes + 1):
            ports = [f"{HOST}:{first + 4 * (number - 1) + i}" for i in range(4)]
            directory = os.path.join(self.scratch, str(number))
            self.nodes.append(Node(number, 0, directory, *ports))
        self.proxy_ports = first + 4 * nodes

    def start(self):
        try:
            self._link()
            for node in self.nodes:
                self._write_configuration(node)
                run([program("bopd"), "format", "--config", node.configuration])
            for node in self.nodes:
                self.start_node(node)
            self.wait_until_ready()
            return self
        except BaseException:
            print(self.said())
            self.stop()
            raise

    def start_node(self, node):
        node.pid = self.start_process(
            f"node{node.id}", [program("bopd"), "start", "--config", node.configuration]).pid

    def stop(self):
        super().stop()
        self.network.close()

    def others(self, node):
        return [other.id for other in self.nodes if other is not node]

    def isolate(self, node):
        self.network.isolate(node.id, self.others(node))

    def _proxy_port(self, source, target):
        return self.proxy_ports + (source - 1) * len(self.nodes) + (target - 1)

    def _link(self):
        for source in self.nodes:
            for target in self.nodes:
                if source is not target:
                    self.network.link(source.id, target.id,
                                      self._proxy_port(source.id, target.id), target.peer)

    def peer_address(self, source, target):
        return target.peer if source is target else f"{HOST}:{self._proxy_port(source.id, target.id)}"

    def configuration_text(self, node):
        peers = ",\n".join(
            f'  {{id = {other.id}, address = "{self.peer_address(node, other)}"}}' for other in self.nodes)
        settings = "\n".join(f"{key} = {value}" for key, value in self.settings.items())
        return (f'data_directory = "data"\ncluster_id = "{self.cluster_id}"\nnode_id = {node.id}\n'
                f"peers = [\n{peers}\n]\n"
                f'listen.native = "{node.native}"\nlisten.resp = "{node.resp}"\n'
                f'listen.http = "{node.http}"\nlisten.peer = "{node.peer}"\n{settings}\n')

    def _write_configuration(self, node):
        os.makedirs(node.directory)
        with open(node.configuration, "w", encoding="utf-8") as file:
            file.write(self.configuration_text(node))
