"""The official openai SDK through the relay: what it folded is what the archive folds."""

import json

import openai
import pytest
from conftest import calls_of, text_of
from pydantic import BaseModel

QUESTION = [{"role": "user", "content": "Tell me something about 上海 and its weather."}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture
def client(stack, session):
    with openai.OpenAI(api_key="sk-test-0123456789", base_url=f"{stack.gateway}/~{session}/v1", max_retries=0) as client:
        yield client


def test_chat(stack, session, client):
    completion = client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION)
    [exchange] = stack.exchanges(session)
    assert text_of(stack.conversation(exchange)) == completion.choices[0].message.content
    assert exchange["input_tokens"] == completion.usage.prompt_tokens
    assert exchange["output_tokens"] == completion.usage.completion_tokens
    assert exchange["model_served"] == completion.model
    assert exchange["dialect"] == "openai-chat"
    assert exchange["provenance"] == "provider"
    assert exchange["cost_micros"] is not None


def test_chat_streamed(stack, session, client):
    with client.chat.completions.stream(
        model="gpt-4o-mini", messages=QUESTION, stream_options={"include_usage": True}
    ) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    [exchange] = stack.exchanges(session)
    conversation = stack.conversation(exchange)
    assert text_of(conversation) == final.choices[0].message.content
    assert conversation["choices"][0]["finish_reason"] == final.choices[0].finish_reason
    assert exchange["output_tokens"] == final.usage.completion_tokens
    assert exchange["streamed"] is True
    assert exchange["first_token_us"] is not None


def test_several_choices(stack, session, client):
    completion = client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION, n=3)
    [exchange] = stack.exchanges(session)
    conversation = stack.conversation(exchange)
    folded = [text_of(conversation, index) for index in range(3)]
    assert folded == [choice.message.content for choice in completion.choices]


@pytest.mark.parametrize("streamed", [False, True])
def test_tools(stack, session, client, streamed):
    messages = [{"role": "user", "content": "What is the weather in Paris? Use the tool."}]
    if streamed:
        with client.chat.completions.stream(
            model="gpt-4o-mini", messages=messages, tools=[WEATHER], tool_choice="required"
        ) as stream:
            for _ in stream:
                pass
            message = stream.get_final_completion().choices[0].message
    else:
        message = client.chat.completions.create(
            model="gpt-4o-mini", messages=messages, tools=[WEATHER], tool_choice="required"
        ).choices[0].message
    [exchange] = stack.exchanges(session)
    folded = calls_of(stack.conversation(exchange))
    assert [(call["id"], call["name"], call["arguments"]) for call in folded] == [
        (call.id, call.function.name, call.function.arguments) for call in message.tool_calls
    ]
    assert exchange["tools_called"] == ["get_weather"]

    messages += [
        message.model_dump(include={"role", "content", "tool_calls"}, exclude_none=True),
        {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": json.dumps({"high": 16})},
    ]
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=[WEATHER])
    exchange = stack.exchanges(session, 2)[-1]
    assert text_of(stack.conversation(exchange)) == answer.choices[0].message.content


def test_structured_output(stack, session, client):
    class City(BaseModel):
        name: str

    completion = client.chat.completions.parse(model="gpt-4o-mini", messages=QUESTION, response_format=City)
    [exchange] = stack.exchanges(session)
    assert json.loads(text_of(stack.conversation(exchange))) == completion.choices[0].message.parsed.model_dump()


def test_embeddings(stack, session, client):
    result = client.embeddings.create(model="text-embedding-3-small", input=["天气", "weather"])
    [exchange] = stack.exchanges(session)
    assert exchange["input_tokens"] == result.usage.prompt_tokens
    assert exchange["dialect"] == "openai-other"
    inputs = [part["text"] for message in stack.conversation(exchange)["messages"] for part in message["parts"]]
    assert inputs == ["天气", "weather"]


def test_responses(stack, session, client):
    response = client.responses.create(model="gpt-4o-mini", input="Hello there")
    [exchange] = stack.exchanges(session)
    assert text_of(stack.conversation(exchange)) == response.output_text
    assert exchange["input_tokens"] == response.usage.input_tokens


def test_responses_streamed(stack, session, client):
    with client.responses.stream(model="gpt-4o-mini", input="Hello there") as stream:
        for _ in stream:
            pass
        response = stream.get_final_response()
    [exchange] = stack.exchanges(session)
    assert text_of(stack.conversation(exchange)) == response.output_text
    assert exchange["output_tokens"] == response.usage.output_tokens


def test_error(stack, session, client):
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(
            model="gpt-4o-mini", messages=QUESTION, extra_headers={"x-mock": "status=429; retry-after=1"}
        )
    assert caught.value.response.headers["retry-after"] == "1"
    [exchange] = stack.exchanges(session)
    assert (exchange["outcome"], exchange["status"]) == ("upstream_error", 429)
    assert exchange["error"]


def test_client_that_leaves(stack, session, client):
    stream = client.chat.completions.create(
        model="gpt-4o-mini", messages=QUESTION, stream=True,
        extra_headers={"x-mock": "chunks=500; chunk-delay=50ms"},
    )
    next(stream)
    stream.close()
    [exchange] = stack.exchanges(session)
    assert exchange["outcome"] == "client_aborted"


def test_list_of_models(stack, session, client):
    models = [model.id for model in client.models.list()]
    [exchange] = stack.exchanges(session)
    assert models and (exchange["method"], exchange["status"]) == ("GET", 200)


def test_legs_are_the_exact_bytes(stack, session, client):
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=QUESTION)
    identity = raw.headers["x-verbatim-id"]
    [exchange] = stack.exchanges(session)
    assert exchange["id"] == identity
    import urllib.request

    legs = f"{stack.web}/api/v1/exchanges/{identity}/legs"
    with urllib.request.urlopen(f"{legs}/client_request") as leg:
        assert leg.read() == raw.http_response.request.content
    for name in ("client_response", "upstream_response"):
        with urllib.request.urlopen(f"{legs}/{name}?decoded=1") as leg:
            assert leg.read() == raw.http_response.content


def test_langchain(stack, session):
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="gpt-4o-mini", api_key="sk-test", base_url=f"{stack.gateway}/~{session}/v1")
    answer = model.invoke("Say hello")
    [exchange] = stack.exchanges(session)
    assert text_of(stack.conversation(exchange)) == answer.content
