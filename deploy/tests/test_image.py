"""The Dockerfile, as far as that can be told without an engine that builds it."""

import fnmatch
import http.server
import pathlib
import re
import socketserver
import subprocess
import threading
import tomllib

import pytest

import tree

DOCKERFILE = (tree.DEPLOY / "Dockerfile").read_text()


def instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def of_kind(kind: str) -> list[str]:
    return [rest for name, rest in instructions() if name == kind]


def copied_from_context() -> list[str]:
    copies = [words.split() for words in of_kind("COPY") if "--from=" not in words]
    return [source for words in copies for source in [word for word in words if not word.startswith("--")][:-1]]


def is_ignored(path: str) -> bool:
    """What .dockerignore says of a path; the last pattern that matches it or what it is in decides."""
    ignored = False
    above = [path.rsplit("/", depth)[0] for depth in range(path.count("/") + 1)]
    for line in (tree.ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").strip()
        if pattern and not line.startswith("#"):
            patterns = [pattern, pattern.removeprefix("**/")]
            if any(fnmatch.fnmatch(one, pattern) for one in above for pattern in patterns):
                ignored = not line.startswith("!")
    return ignored


def test_what_is_copied_is_there_and_is_sent_to_the_builder():
    sources = copied_from_context()
    assert len(sources) >= 8
    for source in sources:
        assert (tree.ROOT / source).exists(), source
        assert not is_ignored(source), source


def test_secrets_and_data_are_not_sent_to_the_builder():
    for path in [
        ".env",
        ".git",
        ".git/config",
        "verbatim-data",
        "verbatim-data/secret",
        "target",
        ".venv",
        "verbatim.toml",
    ]:
        assert is_ignored(path), path


def test_every_member_of_the_workspace_is_copied():
    members = tomllib.loads((tree.ROOT / "Cargo.toml").read_text())["workspace"]["members"]
    sources = copied_from_context()
    for member in members:
        assert member.split("/")[0] in sources, member


def included() -> list[pathlib.Path]:
    """Files that the source takes in by name, tests apart."""
    found = []
    for source in tree.ROOT.glob("**/src/**/*.rs"):
        if "target" not in source.relative_to(tree.ROOT).parts and source.name != "tests.rs":
            text = source.read_text().split("#[cfg(test)]")[0]
            names = re.findall(r'include_(?:str|bytes)!\("([^"]+)"\)', text)
            found += [(source.parent / name).resolve() for name in names]
    return found


def test_what_is_compiled_in_is_sent_to_the_builder():
    """Files that code of ours embeds: SQL, assets, templates, the capture format."""
    embedded = included()
    assert len(embedded) > 20
    for pattern in ("web/assets/**/*", "web/templates/**/*", "proto/**/*.proto", "crates/*/migrations/*.sql"):
        files = list(tree.ROOT.glob(pattern))
        assert files, pattern
        embedded += files
    for path in embedded:
        place = path.relative_to(tree.ROOT)
        assert not is_ignored(str(place)) and place.parts[0] in copied_from_context(), place


def test_the_binary_that_is_built_is_the_one_that_is_copied_and_run():
    package = tomllib.loads((tree.ROOT / "crates/cli/Cargo.toml").read_text())["package"]["name"]
    (build,) = [command for command in of_kind("RUN") if "cargo build" in command]
    assert f"--package {package} --bin {package}" in build
    built = re.search(r"cp target/release/(\S+) (\S+)", build)
    assert built[1] == package
    (copied,) = [words.split() for words in of_kind("COPY") if words.startswith("--from=build")]
    assert copied[1:] == [built[2], f"/usr/local/bin/{package}"]
    assert of_kind("ENTRYPOINT") == [f'["{package}"]']


def test_the_toolchain_is_new_enough():
    minimum = tomllib.loads((tree.ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"]
    version = re.match(r"rust:([\d.]+)-slim-bookworm AS build", of_kind("FROM")[0])[1]
    assert [int(part) for part in version.split(".")] >= [int(part) for part in minimum.split(".")]


def test_builder_and_image_have_the_same_libraries():
    build, image = of_kind("FROM")
    assert "bookworm" in build and image == "debian:bookworm-slim"


def test_the_process_is_nobody_in_particular_and_owns_its_data():
    assert of_kind("USER") == ["10001:10001"]
    assert of_kind("VOLUME") == ["/data"]
    (setup,) = [command for command in of_kind("RUN") if "useradd" in command]
    assert "--uid 10001 --gid 10001" in setup and "--owner=10001 --group=10001 --mode=0700 /data" in setup


def test_variables_are_settings():
    variables = dict(pair.split("=", 1) for line in of_kind("ENV") for pair in line.split())
    ours = [name for name in variables if name.startswith("VERBATIM_")]
    assert "VERBATIM_DATA_DIR" in ours and not tree.unknown_settings(ours)


@pytest.fixture
def answering():
    """A server on this machine: 200 for /readyz, 503 for the rest."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/readyz" else 503)
            self.end_headers()

        def log_message(self, *_):
            pass

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def healthy(*places) -> subprocess.CompletedProcess:
    return subprocess.run([tree.DEPLOY / "healthy", *places], capture_output=True, text=True, timeout=20, check=False)


def test_the_health_check_tells_ready_from_not_ready_and_from_dead(answering):
    assert healthy(f"{answering}/readyz").returncode == 0
    unready = healthy(f"{answering}/readyz", f"{answering}/other")
    assert unready.returncode == 1 and "answered 503, expected 200" in unready.stderr
    # Nobody listens on the discard port.
    dead = healthy("9/readyz")
    assert dead.returncode == 1 and "answered nothing, expected 200" in dead.stderr


def test_the_default_command_needs_a_password(tmp_path):
    """The image's own environment and flags; it must not serve everybody's records to everybody."""
    if not tree.BINARY:
        pytest.skip("needs the binary: ./test without an argument builds it")
    variables = dict(pair.split("=", 1) for line in of_kind("ENV") for pair in line.split())
    variables = {name: value for name, value in variables.items() if name.startswith("VERBATIM_")}
    flags = re.findall(r'"([^"]+)"', of_kind("CMD")[0])[1:]
    command = [tree.BINARY, "config", "check", *flags]
    refused = subprocess.run(
        command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=20, check=False
    )
    assert refused.returncode == 64 and "VERBATIM_WEB__PASSWORD" in refused.stderr, refused.stderr
    tree.run(*command, cwd=tmp_path, environment={**variables, "VERBATIM_WEB__PASSWORD": "s3cret"})
