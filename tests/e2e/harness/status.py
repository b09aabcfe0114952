"""What a node reports of itself over HTTP."""

import re


def conditions(node):
    """The conditions that hold, by name."""
    status = node.status()
    return {c["condition"]: c for c in status["conditions"]} if status else {}


def metric(node, name):
    """The value of a metric, given with its labels in the written order; None if it does not exist."""
    text = node.ask("GET", "/metrics")[1].decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found.group(1)) if found else None
