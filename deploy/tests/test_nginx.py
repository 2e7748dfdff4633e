"""The balancer of the profile `scaled`: Debian's nginx with its configuration, before gateways that are stand-ins."""

import contextlib
import re
import socket
import subprocess
import time

import pytest

import tree

TEXT = (tree.DEPLOY / "nginx/nginx.conf").read_text()
WAIT_SECONDS = 20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gateway:
    """A stand-in that takes one connection at a time, which the test reads from and answers on."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(WAIT_SECONDS)
        self.port = self.listener.getsockname()[1]

    def accept(self) -> socket.socket:
        connection, _ = self.listener.accept()
        connection.settimeout(WAIT_SECONDS)
        return connection


def read_until(connection: socket.socket, end: bytes) -> bytes:
    got = b""
    while not got.endswith(end):
        more = connection.recv(1)
        assert more, f"the connection ended after {got!r}"
        got += more
    return got


def adapted(directory, gateways: list[int], port: int, health: int) -> str:
    """The configuration for this machine: ports of the test, and without what Debian's 1.22 lacks."""
    text, servers = re.subn(r" resolve;", ";", TEXT)
    assert servers == 3
    for name, gateway in zip(["gateway", "gateway-2", "gateway-3"], gateways, strict=True):
        text = text.replace(f"server {name}:8080;", f"server 127.0.0.1:{gateway};")
    text = text.replace("listen 8080 reuseport", f"listen 127.0.0.1:{port} reuseport")
    text = text.replace("127.0.0.1:8079", f"127.0.0.1:{health}").replace("/tmp/", f"{directory}/")
    return f"daemon off;\n{text}"


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def balanced(directory, gateways: list[int]):
    port, health = free_port(), free_port()
    (directory / "nginx.conf").write_text(adapted(directory, gateways, port, health))
    log = directory / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [tree.NGINX, "-c", directory / "nginx.conf", "-e", directory / "error", "-p", directory], stderr=output
        )
        try:
            deadline = time.monotonic() + WAIT_SECONDS
            while not listens(port):
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.02)
            yield port, health
        finally:
            process.terminate()
            process.wait(WAIT_SECONDS)


@pytest.fixture
def rig(tmp_path):
    """nginx before one gateway, under three names."""
    directory = tmp_path
    gateway = Gateway()
    with balanced(directory, [gateway.port, gateway.port, gateway.port]) as (port, health):
        client = socket.create_connection(("127.0.0.1", port), WAIT_SECONDS)
        yield gateway, client, health
        client.close()
    gateway.listener.close()


def test_each_chunk_passes_when_it_comes_both_ways(rig):
    gateway, client, _ = rig
    client.sendall(
        b"POST //v1//chat HTTP/1.1\r\nHost: relay.example:1\r\nx_odd: kept\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"
    )
    upstream = gateway.accept()
    head = read_until(upstream, b"\r\n\r\n")
    assert head.startswith(b"POST //v1//chat HTTP/1.1\r\n")
    assert (
        b"Host: relay.example:1\r\n" in head
        and b"x_odd: kept\r\n" in head
        and b"X-Forwarded-For: 127.0.0.1\r\n" in head
    )
    assert b"\r\nConnection:" not in head
    # The rest of the request is not sent before its first chunk was seen.
    assert read_until(upstream, b"one\r\n")
    client.sendall(b"3\r\ntwo\r\n0\r\n\r\n")
    read_until(upstream, b"two\r\n0\r\n\r\n")
    upstream.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
    # Nor is the rest of the answer.
    assert b"200 OK" in read_until(client, b"first\r\n")
    upstream.sendall(b"6\r\nsecond\r\n0\r\n\r\n")
    read_until(client, b"second\r\n0\r\n\r\n")
    # The connection is used again.
    client.sendall(b"GET /v1/models HTTP/1.1\r\nHost: relay\r\n\r\n")
    assert read_until(upstream, b"\r\n\r\n").startswith(b"GET /v1/models HTTP/1.1\r\n")


def test_a_slow_caller_holds_the_gateway_back(rig):
    """What nginx would hold, a gateway would take for delivered."""
    gateway, client, _ = rig
    client.sendall(b"GET /v1/files/large HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n")
    upstream = gateway.accept()
    read_until(upstream, b"\r\n\r\n")
    size = 64 << 20
    upstream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    upstream.settimeout(1)
    sent, chunk = 0, b"x" * (1 << 16)
    with pytest.raises(TimeoutError):
        while sent < size:
            sent += upstream.send(chunk)
    # Sockets take some megabytes.
    assert sent < size // 2


def test_a_tunnel_is_opened_where_it_is_asked_for(rig):
    gateway, client, _ = rig
    client.sendall(b"GET /v1/realtime HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    upstream = gateway.accept()
    head = read_until(upstream, b"\r\n\r\n").lower()
    assert b"connection: upgrade\r\n" in head and b"upgrade: websocket\r\n" in head
    upstream.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
    assert b"101" in read_until(client, b"hello")
    client.sendall(b"back")
    assert read_until(upstream, b"back") == b"back"


def test_a_call_that_a_gateway_has_seen_is_never_repeated(rig):
    gateway, client, _ = rig
    client.sendall(b"POST /v1/chat HTTP/1.1\r\nHost: relay\r\nContent-Length: 2\r\n\r\n{}")
    upstream = gateway.accept()
    read_until(upstream, b"{}")
    upstream.close()
    assert read_until(client, b"\r\n").startswith(b"HTTP/1.1 502")
    gateway.listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        gateway.listener.accept()


def test_another_gateway_is_tried_where_one_cant_be_reached(tmp_path):
    alive = Gateway()
    with balanced(tmp_path, [free_port(), free_port(), alive.port]) as (port, _):
        for _ in range(4):
            with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) as client:
                client.sendall(
                    b"POST /v1/chat HTTP/1.1\r\nHost: relay\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
                )
                with alive.accept() as upstream:
                    read_until(upstream, b"{}")
                    upstream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                assert b"200 OK" in read_until(client, b"\r\n\r\n")
    alive.listener.close()


def test_it_says_that_it_lives(rig):
    _, _, health = rig
    with socket.create_connection(("127.0.0.1", health), WAIT_SECONDS) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_until(client, b"\r\n").startswith(b"HTTP/1.1 200")


def test_timeouts_are_longer_than_the_gateways_own():
    example = (tree.ROOT / "verbatim.example.toml").read_text()
    total = int(re.search(r'^total = "(\d+)m"', example, re.MULTILINE)[1])
    for name in ("proxy_read_timeout", "proxy_send_timeout", "client_body_timeout", "send_timeout"):
        assert int(re.search(rf"\b{name} (\d+)m;", TEXT)[1]) > total, name
    # An idle connection is closed by nginx first, so that no call meets one that a gateway just closes.
    keep_alive = int(re.search(r'^keep_alive = "(\d+)m"', example, re.MULTILINE)[1])
    assert int(re.search(r"keepalive 256;.*?keepalive_timeout (\d+)m;", TEXT, re.DOTALL)[1]) < keep_alive
