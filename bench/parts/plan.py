"""What is measured, in which order."""

from dataclasses import dataclass, replace

CLIENTS = (1, 16, 64, 256)
PIPELINES = (1, 16)
KINDS = ("put", "get")


@dataclass(frozen=True)
class Load:
    """One row of the table."""

    keys: int
    clients: int
    pipeline: int
    read_ratio: float  # 0: puts alone, 1: gets alone
    seconds: float

    @property
    def kind(self):
        return "get" if self.read_ratio == 1 else "put"

    def sentence(self):
        return f"{self.kind}, {self.keys:,} keys, {self.clients} clients, pipeline {self.pipeline}"


def loads(keys, seconds, clients_of=CLIENTS, pipelines=PIPELINES):
    """Puts at every number of clients and pipeline, then gets."""
    puts = [Load(keys, clients, pipeline, 0, seconds) for pipeline in pipelines for clients in clients_of]
    return puts + [replace(load, read_ratio=1) for load in puts]


def interleaved(rows, rounds, systems):
    """(round, load, system): the systems of a row take turns, so that a slow minute hits all of them. Every other
    round goes backwards, so that none always runs in the wake of the same neighbour."""
    for number in range(rounds):
        for row in rows:
            for system in systems if number % 2 == 0 else reversed(systems):
                if row.kind == "put" or system.reads:
                    yield number, row, system
