"""Where things are, and how the tools that check them are called."""

import os
import pathlib
import re
import subprocess
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
# Unpacked from Debian's packages by ./test, not installed: nothing starts, and other versions on this machine stay.
UNPACKED = ROOT / ".venv/debian"
KUBECTL = UNPACKED / "usr/bin/kubectl"
PROMTOOL = UNPACKED / "usr/bin/promtool"
NGINX = UNPACKED / "usr/sbin/nginx"
# The binary, where it was just built; ./test says so.
BINARY = os.environ.get("VERBATIM_BINARY")


def run(*command, cwd=ROOT, environment=None):
    """Runs a tool; what it says when it fails is the test's failure."""
    result = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = result.stdout + result.stderr
    assert result.returncode == 0, f"{' '.join(map(str, command))} ended with {result.returncode}:\n{said}"
    return result.stdout


def settings() -> set[str]:
    """Every setting, as its path in the configuration file."""
    example = tomllib.loads((ROOT / "verbatim.example.toml").read_text())

    def paths(table, prefix):
        for key, value in table.items():
            yield from paths(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]

    return set(paths(example, ""))


def setting_of(variable: str) -> str:
    """The setting that a variable sets."""
    return variable.removeprefix("VERBATIM_").lower().replace("__", ".")


def unknown_settings(variables) -> set[str]:
    """Those of these variables that set nothing."""
    known = settings()
    return {name for name in variables if name.startswith("VERBATIM_") and setting_of(name) not in known}


def commands() -> set[str]:
    """What `verbatim` can be told to do."""
    enumeration = (ROOT / "crates/cli/src/args.rs").read_text().split("pub(crate) enum Command {")[1].split("\n}\n")[0]
    return {name.lower() for name in re.findall(r"^    ([A-Z][a-z]+)\b", enumeration, re.MULTILINE)}


def check_configuration(environment: dict[str, str], directory: pathlib.Path):
    """Lets the binary itself read an environment, as a container has it; it refuses what it does not understand."""
    variables = {name: str(value) for name, value in environment.items() if value is not None}
    run(BINARY, "config", "check", cwd=directory, environment={"PATH": os.environ["PATH"], **variables})
