"""One relay for all SDK tests; every test has a session of its own."""

import re

import pytest

import stack as stack_module


@pytest.fixture(scope="session")
def stack():
    with stack_module.running() as running:
        yield running


@pytest.fixture
def session(request):
    name = f"{request.module.__name__}-{request.node.name}".lower()
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-")


def text_of(conversation: dict, choice: int = 0) -> str:
    """The text of one choice of the folded answer."""
    parts = conversation["choices"][choice]["parts"]
    return "".join(part["text"] for part in parts if part["type"] == "text")


def calls_of(conversation: dict) -> list[dict]:
    """The tool calls of the folded answer."""
    return [part for part in conversation["choices"][0]["parts"] if part["type"] == "tool_call"]
