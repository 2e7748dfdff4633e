"""Starts a mock provider and Verbatim before it, on free ports and an empty data directory.

As a program, `stack.py -- COMMAND ...` runs a command with VERBATIM_WEB_URL and VERBATIM_GATEWAY_URL set.
"""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[4]
BINARIES = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / os.environ.get("VERBATIM_PROFILE", "debug")
WAIT_SECONDS = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, what: str, seconds: float = WAIT_SECONDS):
    """Asks again until the condition gives something; what it gives is returned."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Stack:
    """A running relay: `gateway` and `web` are base URLs without a slash at the end."""

    def __init__(self, directory: pathlib.Path):
        self.mock_port, self.gateway_port, self.web_port = free_port(), free_port(), free_port()
        self.mock = f"http://127.0.0.1:{self.mock_port}"
        self.gateway = f"http://127.0.0.1:{self.gateway_port}"
        self.web = f"http://127.0.0.1:{self.web_port}"
        self.config = directory / "verbatim.toml"
        self.config.write_text(
            'default_provider = "openai"\n'
            + "".join(
                f'[[providers]]\nname = "{name}"\ndialect = "{name}"\nbase_url = "{self.mock}/{version}"\n'
                for name, version in [("openai", "v1"), ("anthropic", "v1"), ("gemini", "v1beta")]
            )
        )
        self.data = directory / "data"
        self.processes: list[subprocess.Popen] = []

    def start(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VERBATIM_")}
        self.processes.append(
            subprocess.Popen([BINARIES / "verbatim-mock-provider", "--listen", f"127.0.0.1:{self.mock_port}"])
        )
        wait_until(lambda: listens(self.mock_port), "the mock provider listens")
        self.processes.append(
            subprocess.Popen(
                [
                    BINARIES / "verbatim", "up", "--config", self.config, "--data-dir", self.data,
                    "--gateway-addr", f"127.0.0.1:{self.gateway_port}", "--web-addr", f"127.0.0.1:{self.web_port}",
                    "--log-level", "warn",
                ],
                env=environment,
                cwd=self.config.parent,
            )
        )
        wait_until(lambda: answers(f"{self.gateway}/healthz") and answers(f"{self.web}/healthz"), "verbatim answers")

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def get(self, path: str):
        with urllib.request.urlopen(self.web + path, timeout=30) as response:
            return json.load(response)

    def exchanges(self, session: str, count: int = 1) -> list[dict]:
        """The ended exchanges of a session, oldest first, once there are so many."""

        def ended():
            items = self.get(f"/api/v1/exchanges?q=session:{session}&limit=100")["items"]
            done = [item for item in items if item["outcome"] != "running"]
            return done if len(done) >= count else None

        return list(reversed(wait_until(ended, f"{count} exchanges of session {session} are archived")))

    def conversation(self, exchange: dict) -> dict:
        return self.get(f"/api/v1/exchanges/{exchange['id']}/conversation")


@contextlib.contextmanager
def running():
    with tempfile.TemporaryDirectory(prefix="verbatim-stack-") as directory:
        stack = Stack(pathlib.Path(directory))
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()


def main() -> int:
    if len(sys.argv) < 3 or sys.argv[1] != "--":
        print("usage: stack.py -- COMMAND ...", file=sys.stderr)
        return 64
    with running() as stack:
        environment = dict(os.environ, VERBATIM_WEB_URL=stack.web, VERBATIM_GATEWAY_URL=stack.gateway)
        return subprocess.call(sys.argv[2:], env=environment)


if __name__ == "__main__":
    sys.exit(main())
