"""Which metrics there are, as the source has them, and which a query asks for."""

import re

import tree

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


def in_source() -> dict[str, set[str]]:
    """Every metric of ours, and the labels that it is counted with; a histogram under the names of its series."""
    found: dict[str, set[str]] = {}
    for file in tree.ROOT.glob("**/src/**/*.rs"):
        if "target" in file.relative_to(tree.ROOT).parts or "telemetry" in file.parts:
            continue
        for kind, name, rest in MACRO.findall(file.read_text()):
            labels = set(LABEL.findall(rest))
            names = [f"{name}_{part}" for part in ("bucket", "sum", "count")] if kind == "histogram" else [name]
            for one in names:
                found.setdefault(one, set()).update(labels | ({"le"} if one.endswith("_bucket") else set()))
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
