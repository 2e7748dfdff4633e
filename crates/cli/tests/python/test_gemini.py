"""The official google-genai SDK through the relay: what it folded is what the archive folds."""

import pytest
from conftest import calls_of, text_of
from google import genai
from google.genai import types

MODEL = "gemini-2.5-flash"
QUESTION = "Tell me something about 東京."


@pytest.fixture
def client(stack, session):
    options = types.HttpOptions(base_url=f"{stack.gateway}/~{session}")
    return genai.Client(api_key="test-key", http_options=options)


def test_generate_content(stack, session, client):
    answer = client.models.generate_content(model=MODEL, contents=QUESTION)
    [exchange] = stack.exchanges(session)
    assert text_of(stack.conversation(exchange)) == answer.text
    assert exchange["input_tokens"] == answer.usage_metadata.prompt_token_count
    assert (exchange["dialect"], exchange["provider"]) == ("gemini", "gemini")
    assert "test-key" not in str(stack.get(f"/api/v1/exchanges/{exchange['id']}"))


def test_generate_content_streamed(stack, session, client):
    chunks = list(client.models.generate_content_stream(model=MODEL, contents=QUESTION))
    [exchange] = stack.exchanges(session)
    assert text_of(stack.conversation(exchange)) == "".join(chunk.text or "" for chunk in chunks)
    usage = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata][-1]
    assert exchange["output_tokens"] == usage.candidates_token_count + (usage.thoughts_token_count or 0)


def test_function_call(stack, session, client):
    weather = types.FunctionDeclaration(
        name="get_weather",
        description="The weather of a city",
        parameters_json_schema={"type": "object", "properties": {"city": {"type": "string"}}},
    )
    answer = client.models.generate_content(
        model=MODEL,
        contents="The weather in Paris?",
        config=types.GenerateContentConfig(
            tools=[types.Tool(function_declarations=[weather])],
            tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY")),
        ),
    )
    import json

    [exchange] = stack.exchanges(session)
    folded = calls_of(stack.conversation(exchange))
    assert [(call["name"], json.loads(call["arguments"])) for call in folded] == [
        (call.name, call.args) for call in answer.function_calls
    ]


def test_embed_content(stack, session, client):
    result = client.models.embed_content(model="gemini-embedding-001", contents="天气")
    [exchange] = stack.exchanges(session)
    assert result.embeddings and exchange["status"] == 200
    assert "天气" in exchange["asked_preview"]
