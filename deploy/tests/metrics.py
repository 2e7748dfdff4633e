"""Which metrics there are, as the source has them, and which a query asks for."""

import dataclasses
import re

import tree

OPERATIONS = tree.ROOT / "docs/operations.md"
# What the crate metrics-process tells of every process; crates/telemetry has it do so.
OF_THE_PROCESS = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
}
# Prometheus' own.
OF_PROMETHEUS = {"up"}
MACRO = re.compile(r"""\b(counter|gauge|histogram)!\(\s*"(verbatim_\w+)"([^)]*)\)""")
LABEL = re.compile(r'"(\w+)"\s*=>')
# Where a role is that counts for itself; what lies elsewhere is counted by whoever uses it.
OWNERS = {"gateway": "gateway", "recorder": "recorder", "search-indexer": "indexer"}
ROW = re.compile(r"^\| `(verbatim_\w+)` \| (\w+) \| ([\w, ]+) \| [^|]+ \|([^|]*)\|$", re.MULTILINE)


@dataclasses.dataclass
class Metric:
    """What is known of a metric."""

    kind: str
    labels: set[str] = dataclasses.field(default_factory=set)
    roles: set[str] = dataclasses.field(default_factory=set)


def declared() -> dict[str, Metric]:
    """Every metric of ours, as the source counts it."""
    found: dict[str, Metric] = {}
    for file in tree.ROOT.glob("**/src/**/*.rs"):
        place = file.relative_to(tree.ROOT).parts
        if "target" in place or "telemetry" in place:
            continue
        for kind, name, rest in MACRO.findall(file.read_text()):
            metric = found.setdefault(name, Metric(kind))
            assert metric.kind == kind, f"{name} is a {metric.kind} and a {kind}"
            metric.labels.update(LABEL.findall(rest))
            metric.roles.update({OWNERS[place[0]]} if place[0] in OWNERS else set())
    return found


def explained() -> dict[str, Metric]:
    """The same, as the reference in docs/operations.md has it."""
    (reference,) = re.findall(r"^## Metrics$(.*?)(?=^## |\Z)", OPERATIONS.read_text(), re.MULTILINE | re.DOTALL)
    rows = ROW.findall(reference)
    found = {
        name: Metric(kind, set(re.findall(r"`(\w+)`", labels)), set(roles.split(", ")))
        for name, kind, roles, labels in rows
    }
    assert len(found) == len(rows) == reference.count("\n| `"), "a row is there twice, or is no row"
    return found


def in_source() -> dict[str, set[str]]:
    """Every metric of ours, and the labels that it is counted with; a histogram under the names of its series."""
    found: dict[str, set[str]] = {}
    for name, metric in declared().items():
        if metric.kind == "histogram":
            found[f"{name}_bucket"] = metric.labels | {"le"}
            found[f"{name}_sum"] = found[f"{name}_count"] = metric.labels
        else:
            found[name] = metric.labels
    return found


def asked_for(query: str) -> set[str]:
    """The names of metrics in a query; recorded ones have a colon."""
    without_text = re.sub(r'"[^"]*"', '""', query)
    return set(re.findall(r"(?<![\w:])(?:verbatim_\w+|process_\w+|up(?=[\s{=]))(?!\w*:)", without_text))


def unknown(query: str) -> set[str]:
    """The metrics that a query asks for and nobody counts."""
    return asked_for(query) - set(in_source()) - OF_THE_PROCESS - OF_PROMETHEUS


def labels_of(query: str) -> set[str]:
    """The labels that a query chooses or groups by."""
    chosen = re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', query)
    grouped = [name for names in re.findall(r"\bby\s*\(([^)]*)\)", query) for name in re.split(r"\W+", names)]
    return {name for name in [*chosen, *grouped] if name}
