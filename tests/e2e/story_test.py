#!/usr/bin/env python3
"""The logs of three nodes explain the failover from a killed leader, and metrics count it by cause."""

import os
import re

from harness.case import Case, main
from harness.dev import DevCluster
from harness.waiting import wait_until

LINE = re.compile(r"(?P<time>\S+Z) +(?P<level>\w+) +node (?P<node>\d+), group (?P<group>[^,]+), term (?P<term>\d+): "
                  r"(?P<text>.*)")


class Story(Case):
    def setUp(self):
        self.cluster = self.use(DevCluster(settings={"logging.level": "debug"}))

    def lines(self, nodes):
        """The messages of all nodes about the group, ordered by time."""
        found = []
        for node in nodes:
            with open(os.path.join(node.directory, "bopd.log"), encoding="utf-8") as log:
                found += [match for match in map(LINE.match, log) if match]
        return sorted(found, key=lambda line: line["time"])

    def metric(self, node, name, **labels):
        status, text = node.ask("GET", "/metrics")
        self.assertEqual(status, 200)
        for line in text.decode().splitlines():
            if line.startswith(name + "{") and all(f'{key}="{value}"' in line for key, value in labels.items()):
                return float(line.rpartition(" ")[2])
        raise AssertionError(f"no metric {name} {labels} in\n{text.decode()}")

    def test_three_logs_tell_who_lost_the_leader_who_voted_who_leads_and_what_it_committed_first(self):
        killed = self.cluster.wait_for_leader()
        survivors = [node for node in self.cluster.nodes if node is not killed]
        self.cluster.wait_until_ready()
        # A group quiesces only when liveness hears all nodes; from then on it notices a loss at once.
        for node in self.cluster.nodes:
            wait_until(lambda node=node: self.metric(node, "bop_raft_quiesced_total") > 0, f"{node} quiesced")
        elections = {node: self.metric(node, "bop_raft_elections_won_total") for node in survivors}
        losses = {node: self.metric(node, "bop_raft_leader_changes_total", cause="node_lost") for node in survivors}
        killed.kill()
        leader = self.cluster.wait_for_leader(other_than=killed)
        term = leader.group()["term"]
        voter = next(node for node in survivors if node is not leader)
        voter_follows = lambda: (voter.group() or {}).get("leader") == leader.id
        wait_until(voter_follows, f"{voter} follows {leader}")

        # The log of the dead leader tells how it became leader, and then ends.
        last_of_killed = self.lines([killed])[-1]["time"]
        self.assertTrue([line for line in self.lines([killed]) if line["text"].startswith("leader of term ")])

        story = []
        def tells(node, level, text, in_term=None):
            """Finds a message of the node after the previous one."""
            after = story[-1]["time"] if story else ""
            for line in self.lines([node]):
                if (line["time"] >= after and int(line["node"]) == node.id and line["level"] == level
                        and in_term in (None, int(line["term"])) and re.match(text, line["text"])):
                    story.append(line)
                    return
            raise AssertionError(f"{node} does not tell at {level} after {after}: {text}")

        lost = rf"lost its leader, node {killed.id}: its leader's node is not heard any more"
        for node in survivors:
            tells(node, "info", lost)
            story.clear()
        tells(leader, "info", lost)
        tells(leader, "info", rf"asks for pre-votes for term {term}: ", term - 1)
        tells(voter, "debug", rf"granted its pre-vote to node {leader.id} in term {term}")
        tells(leader, "debug", rf"node {voter.id} grants its pre-vote")
        tells(leader, "info", rf"candidate in term {term}, asks for votes: a majority would vote for it", term)
        tells(voter, "debug", rf"granted its vote to node {leader.id} in term {term}", term)
        tells(leader, "debug", rf"node {voter.id} grants its vote", term)
        tells(leader, "info", rf"leader of term {term}: a majority voted for it", term)
        tells(voter, "info", rf"following node {leader.id}", term)
        story.pop()  # the leader does not wait for that
        tells(leader, "debug", r"committed entry \d+, the first of the term", term)
        self.assertLess(last_of_killed, story[-1]["time"])

        self.assertEqual(self.metric(leader, "bop_raft_elections_won_total"), elections[leader] + 1)
        for node in survivors:
            self.assertEqual(self.metric(node, "bop_raft_leader_changes_total", cause="node_lost"), losses[node] + 1)

    def test_every_replica_logs_the_configuration_in_force_when_it_starts(self):
        for node in self.cluster.nodes:
            texts = [line["text"] for line in self.lines([node])]
            self.assertEqual(texts[0], "configuration in force: voters 1 2 3")


if __name__ == "__main__":
    main()
