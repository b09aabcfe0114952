#!/usr/bin/env python3
"""The metrics are well-formed, and all metrics that packaging/monitoring uses exist."""

import json
import os
import re
import shutil
import tempfile
import unittest

from harness.case import SharedDevCase, main
from harness.process import program, run
from harness.waiting import wait_until

FOLDER = os.path.join(os.path.dirname(__file__), "../../packaging/monitoring")
NAMES = re.compile(r"\b(?:bop|process)_[a-z0-9_]+")
PROMTOOL = shutil.which("promtool")


def read(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return file.read()


def dashboard_expressions():
    dashboard = json.loads(read("grafana-dashboard.json"))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return expressions + [variable["query"]["query"] for variable in dashboard["templating"]["list"]
                          if isinstance(variable["query"], dict)]


def alert_expressions():
    return re.findall(r"^\s+expr: (.+)$", read("alerts.yml"), re.MULTILINE)


class Monitoring(SharedDevCase):
    def metrics(self, node=None):
        return (node or self.cluster.nodes[0]).ask("GET", "/metrics")[1].decode()

    def whole_metrics(self):
        """The metrics, once those that are measured periodically exist."""
        self.cluster.nodes[0].call("SET", "k", "v")
        wanted = ("bop_store_bytes{", "bop_disk_free_bytes ", "bop_peer_lag_entries{")
        return wait_until(lambda: (lambda text: text if all(w in text for w in wanted) else None)(self.metrics()),
                          "all metrics are there")

    def test_every_metric_of_the_alerts_and_the_dashboard_exists(self):
        samples = set(re.findall(r"^([a-z][a-z0-9_]*)[ {]", self.whole_metrics(), re.MULTILINE))
        for what, expressions in (("alerts.yml", alert_expressions()), ("dashboard", dashboard_expressions())):
            self.assertGreater(len(expressions), 10, what)
            for expression in expressions:
                for name in NAMES.findall(expression):
                    self.assertIn(name, samples, f"{what}: {expression}")

    def test_every_condition_has_an_alert_and_every_condition_of_an_alert_exists(self):
        shown = set(re.findall(r'^bop_condition\{condition="([a-z_]+)"\}', self.metrics(), re.MULTILINE))
        expressions = " ".join(alert_expressions())
        named = {name for names in re.findall(r'condition=~?"([a-z_|]+)"', expressions) for name in names.split("|")}
        for condition, by_group in (("suspect", "bop_group_suspect"), ("halted", "bop_group_halted")):
            self.assertIn(by_group, expressions)  # which says of which group, too
            named.add(condition)
        self.assertEqual(named, shown)

    def test_every_cause_that_the_dashboard_selects_exists(self):
        shown = set(re.findall(r'^bop_raft_[a-z_]+\{.*cause="([a-z_]+)"', self.metrics(), re.MULTILINE))
        selected = {cause for causes in re.findall(r'cause=~"([a-z_|]+)"', " ".join(dashboard_expressions()))
                    for cause in causes.split("|")}
        self.assertTrue(selected)
        self.assertLessEqual(selected, shown)

    def test_the_dashboard_shows_every_counter_of_raft(self):
        shown = set(re.findall(r"^(bop_raft_[a-z_]+)\{", self.metrics(), re.MULTILINE))
        self.assertEqual(shown - set(NAMES.findall(" ".join(dashboard_expressions()))), set())

    def test_every_limit_of_the_configuration_is_a_metric(self):
        shown = dict(re.findall(r"^bop_limit_([a-z_]+) (\d+)$", self.metrics(), re.MULTILINE))
        config = run([program("bopd"), "config", "show"]).stdout
        configured = dict(re.findall(r"^limits\.([a-z_]+) = (\d+)", config, re.MULTILINE))
        self.assertGreater(len(configured), 5)
        self.assertEqual(shown, configured)

    def test_each_sample_has_help_and_type_and_process_metrics_are_plausible(self):
        text = self.whole_metrics()
        explained = set(re.findall(r"^# HELP ([a-z0-9_]+) \S", text, re.MULTILINE))
        typed = set(re.findall(r"^# TYPE ([a-z0-9_]+) (?:counter|gauge|histogram)$", text, re.MULTILINE))
        self.assertEqual(explained, typed)
        for name in re.findall(r"^([a-z][a-z0-9_]*)[ {]", text, re.MULTILINE):
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            self.assertTrue(name in explained or base in explained, name)
        value = lambda name: float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE).group(1))
        self.assertGreater(value("process_resident_memory_bytes"), 1 << 20)
        self.assertGreater(value("process_start_time_seconds"), 1.5e9)
        # Counted in ticks of 10 ms; a node that has just started may have used none.
        wait_until(lambda: re.search(r"^process_cpu_seconds_total (?!0\.00$)", self.metrics(), re.MULTILINE),
                   "the process spends time")
        self.assertTrue(3 < value("process_open_fds") < value("process_max_fds"))
        version = self.cluster.nodes[0].status()["version"]
        self.assertIn(f'bop_build_info{{version="{version}"}} 1\n', text)
        self.assertRegex(text, r'bop_log_write_seconds_count\{shard="0"\} [1-9]')

    @unittest.skipUnless(PROMTOOL, "promtool (Debian package prometheus) is not installed")
    def test_promtool_accepts_the_metrics(self):
        done = run([PROMTOOL, "check", "metrics"], check=False, input=self.whole_metrics())
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    @unittest.skipUnless(PROMTOOL, "promtool (Debian package prometheus) is not installed")
    def test_promtool_accepts_the_alerts_and_the_dashboards_expressions(self):
        run([PROMTOOL, "check", "rules", os.path.join(FOLDER, "alerts.yml")])
        rules = [{"record": f"dashboard:{i}", "expr": expression.replace("$__rate_interval", "1m")}
                 for i, expression in enumerate(dashboard_expressions()) if "label_values" not in expression]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "rules.yml")
            with open(path, "w", encoding="utf-8") as file:
                json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)  # JSON is YAML
            run([PROMTOOL, "check", "rules", path])


if __name__ == "__main__":
    main()
