"""Medians, ratios, the table, the targets."""

from statistics import median

FIGURES = ("ops_per_s", "p50_us", "p99_us", "max_us", "cpu_us_per_op")


def medians(samples):
    """{(load, system): {figure: median}} of [(load, system, result)]."""
    grouped = {}
    for load, system, result in samples:
        grouped.setdefault((load, system), []).append(result)
    return {key: {figure: median(result[figure] for result in results) for figure in FIGURES}
            for key, results in grouped.items()}


def ratio(one, other, figure="ops_per_s"):
    return one[figure] / other[figure] if one and other and other[figure] else None


def shown(value, form):
    return "–" if value is None else format(value, form)


def table(figures):
    """A table in Markdown, one row a load and system, in the order of their turns."""
    rows = ["| load | system | ops/s | p50 µs | p99 µs | max ms | CPU µs/op | ÷ etcd | ÷ floor |",
            "|---|---|--:|--:|--:|--:|--:|--:|--:|"]
    for load in dict.fromkeys(load for load, _ in figures):
        etcd, floor = figures.get((load, "etcd")), figures.get((load, "floor"))
        for name in (name for at, name in figures if at == load):
            one = figures[load, name]
            rows.append(
                f"| {load.sentence()} | {name} | {one['ops_per_s']:,.0f} | {one['p50_us']:,.0f} | "
                f"{one['p99_us']:,.0f} | {one['max_us'] / 1000:,.1f} | {one['cpu_us_per_op']:.1f} | "
                f"{shown(ratio(one, etcd), '.2f')} | {shown(ratio(one, floor), '.2f')} |")
    return "\n".join(rows)


def changes(samples, before):
    """A table in Markdown: each load's speed over the build before's. A round's two turns follow each other, so
    the median of the rounds' ratios is steadier than the ratio of the medians; the extremes show the noise."""
    speeds = {}
    for load, system, result in samples:
        speeds.setdefault((load, system), []).append(result)
    rows = ["| load | system | ops/s ÷ before | lowest | highest | CPU/op ÷ before |", "|---|---|--:|--:|--:|--:|"]
    for (load, name), now in speeds.items():
        then = speeds.get((load, before.get(name)))
        if then:
            ops = sorted(ratio(*pair) for pair in zip(now, then))
            cpu = median(ratio(*pair, "cpu_us_per_op") or 1 for pair in zip(now, then))
            rows.append(f"| {load.sentence()} | {name} | {median(ops):.3f} | {ops[0]:.2f} | {ops[-1]:.2f} | {cpu:.3f} |")
    return "\n".join(rows)


def targets(figures, keys):
    """[(sentence, measured, wanted, met)] for what can be told from these figures."""
    def at(name, clients, kind="put"):
        return next((figure for (load, system), figure in figures.items()
                     if system == name and load.clients == clients and load.kind == kind
                     and load.pipeline == 1 and load.keys == keys), None)

    found = []
    def at_least(sentence, measured, wanted):
        if measured is not None:
            found.append((sentence, measured, f"≥ {wanted}", measured >= wanted))

    for name in ("bop native", "bop RESP"):
        at_least(f"{name} ÷ etcd, puts, {keys:,} keys, 256 clients", ratio(at(name, 256), at("etcd", 256)), 4)
        for clients in (64, 256):
            at_least(f"{name} ÷ floor, puts, {keys:,} keys, {clients} clients",
                     ratio(at(name, clients), at("floor", clients)), 0.5)
        latency = ratio(at(name, 1), at("floor", 1), "p50_us")
        if latency is not None:
            found.append((f"{name} ÷ floor, p50 of a put, {keys:,} keys, 1 client", latency, "≤ 1.4", latency <= 1.4))
        at_least(f"{name} ÷ etcd, gets, {keys:,} keys, 256 clients",
                 ratio(at(name, 256, "get"), at("etcd", 256, "get")), 5)
    return found


def target_lines(found):
    return "\n".join(f"{'met   ' if met else 'MISSED'}  {sentence}: {measured:.2f} (wanted {wanted})"
                     for sentence, measured, wanted, met in found)
