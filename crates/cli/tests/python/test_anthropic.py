"""The official anthropic SDK through the relay: what it folded is what the archive folds."""

import anthropic
import pytest
from conftest import calls_of, text_of

QUESTION = [{"role": "user", "content": "Tell me something about 北京."}]
MODEL = "claude-sonnet-4-5"
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
def client(stack, session):
    with anthropic.Anthropic(api_key="sk-ant-test", base_url=f"{stack.gateway}/~{session}", max_retries=0) as client:
        yield client


def text(message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_messages(stack, session, client):
    message = client.messages.create(model=MODEL, max_tokens=300, system="Be brief.", messages=QUESTION)
    [exchange] = stack.exchanges(session)
    conversation = stack.conversation(exchange)
    assert text_of(conversation) == text(message)
    assert conversation["messages"][0]["role"] == "system"
    assert exchange["input_tokens"] == message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0) + (
        message.usage.cache_creation_input_tokens or 0
    )
    assert exchange["output_tokens"] == message.usage.output_tokens
    assert (exchange["dialect"], exchange["provider"]) == ("anthropic", "anthropic")


def test_messages_streamed(stack, session, client):
    with client.messages.stream(model=MODEL, max_tokens=300, messages=QUESTION) as stream:
        for _ in stream.text_stream:
            pass
        message = stream.get_final_message()
    [exchange] = stack.exchanges(session)
    conversation = stack.conversation(exchange)
    assert text_of(conversation) == text(message)
    assert conversation["choices"][0]["finish_reason"] == message.stop_reason
    assert exchange["output_tokens"] == message.usage.output_tokens


@pytest.mark.parametrize("streamed", [False, True])
def test_tools(stack, session, client, streamed):
    arguments = dict(
        model=MODEL, max_tokens=300, messages=[{"role": "user", "content": "The weather in Paris?"}],
        tools=[WEATHER], tool_choice={"type": "any"},
    )
    if streamed:
        with client.messages.stream(**arguments) as stream:
            message = stream.get_final_message()
    else:
        message = client.messages.create(**arguments)
    used = [block for block in message.content if block.type == "tool_use"]
    [exchange] = stack.exchanges(session)
    import json

    folded = calls_of(stack.conversation(exchange))
    assert [(call["id"], call["name"], json.loads(call["arguments"])) for call in folded] == [
        (block.id, block.name, block.input) for block in used
    ]
    assert used


def test_thinking_streamed(stack, session, client):
    with client.messages.stream(
        model=MODEL, max_tokens=3000, thinking={"type": "enabled", "budget_tokens": 1024}, messages=QUESTION
    ) as stream:
        message = stream.get_final_message()
    thought = "".join(block.thinking for block in message.content if block.type == "thinking")
    [exchange] = stack.exchanges(session)
    parts = stack.conversation(exchange)["choices"][0]["parts"]
    assert thought and "".join(part["text"] for part in parts if part["type"] == "reasoning") == thought


def test_overloaded(stack, session, client):
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(
            model=MODEL, max_tokens=10, messages=QUESTION, extra_headers={"x-mock": "status=529"}
        )
    assert caught.value.status_code == 529
    [exchange] = stack.exchanges(session)
    assert (exchange["outcome"], exchange["status"]) == ("upstream_error", 529)


def test_count_tokens(stack, session, client):
    counted = client.messages.count_tokens(model=MODEL, messages=QUESTION)
    [exchange] = stack.exchanges(session)
    assert counted.input_tokens > 0 and exchange["status"] == 200
