"""The dashboard in headless Chromium, against a running relay.

VERBATIM_WEB_URL and VERBATIM_GATEWAY_URL say where it runs; VERBATIM_CHROMIUM, where the browser is another one.
"""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

import pytest
from playwright.sync_api import sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}


def pytest_collection_modifyitems(items):
    if "VERBATIM_WEB_URL" in os.environ and "VERBATIM_GATEWAY_URL" in os.environ:
        return
    for item in items:
        item.add_marker(pytest.mark.skip(reason="skipped: VERBATIM_WEB_URL and VERBATIM_GATEWAY_URL are not set"))


class Call:
    """A call through the relay: its id, what was sent, and what came back."""

    def __init__(self, identity: str, request: bytes, response: bytes):
        self.id = identity
        self.request = request
        self.response = response


class Relay:
    def __init__(self, web: str, gateway: str):
        self.web = web.rstrip("/")
        self.gateway = gateway.rstrip("/")

    def chat(self, messages, *, stream=False, directives="", session=None, **more) -> Call:
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        body = json.dumps({"model": "gpt-4o-mini", "stream": stream, "messages": messages, **more}).encode()
        path = f"/~{session}/v1/chat/completions" if session else "/v1/chat/completions"
        headers = {"content-type": "application/json", "authorization": "Bearer sk-not-a-key", "x-title": "browser-tests"}
        if directives:
            headers["x-mock"] = directives
        request = urllib.request.Request(self.gateway + path, data=body, headers=headers)
        try:
            response = urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            return Call(response.headers["x-verbatim-id"], body, response.read())

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.web + path, timeout=30) as response:
            return response.read()

    def archived(self, identity: str) -> dict:
        """The exchange, once it is archived."""
        deadline = time.monotonic() + 30
        while True:
            try:
                exchange = json.loads(self.get(f"/api/v1/exchanges/{identity}"))
                if exchange["outcome"] != "running":
                    return exchange
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise
            assert time.monotonic() < deadline, f"{identity} is not archived"
            time.sleep(0.05)

    def found(self, query: str, identity: str):
        """Waits until a query finds the exchange."""
        deadline = time.monotonic() + 30
        quoted = urllib.parse.quote(query)
        while True:
            page = json.loads(self.get(f"/api/v1/exchanges?limit=100&q={quoted}"))
            if any(item["id"] == identity for item in page["items"]):
                return
            assert time.monotonic() < deadline, f"{identity} is not found by {query}"
            time.sleep(0.05)


@pytest.fixture(scope="session")
def relay() -> Relay:
    return Relay(os.environ["VERBATIM_WEB_URL"], os.environ["VERBATIM_GATEWAY_URL"])


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        path = os.environ.get("VERBATIM_CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, relay):
    """Opens pages that fail the test where a script of theirs fails or is refused."""
    contexts = []
    complaints = []

    def open_page(path="/", *, viewport=DESK, locale="en-US", scheme="light"):
        context = browser.new_context(
            base_url=relay.web, viewport=viewport, locale=locale, color_scheme=scheme, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: (complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def word() -> str:
    """A word that no other test uses."""
    return f"w{uuid.uuid4().hex[:10]}"
