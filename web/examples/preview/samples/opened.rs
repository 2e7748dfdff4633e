//! Exchanges that are worth opening, one of each kind.

use verbatim_core::model::{
    ChunkTime, Dialect, Exchange, ExchangeRecord, Headers, Leg, MessageHead, Outcome, Provenance,
    ProviderDialect, Timeline,
};
use verbatim_testkit::ExchangeBuilder;

fn head(request: bool, content_type: &str) -> MessageHead {
    let mut headers = Headers::default();
    headers.push("content-type", content_type.to_owned());
    if request {
        headers.push("authorization", "Bearer redacted:9f2c41d07be8a6e1");
        headers.push("user-agent", "OpenAI/Python 2.8.1");
    } else {
        headers.push("x-request-id", "req_011CV9tyQm1");
        headers.push("x-ratelimit-remaining-requests", "9998");
    }
    MessageHead {
        version: "HTTP/1.1".to_owned(),
        status: (!request).then_some(200),
        headers,
        at_us: if request { 0 } else { 380_000 },
        ..MessageHead::default()
    }
}

fn streamed(text: &str, model: &str) -> (String, Timeline) {
    let mut body = String::new();
    let mut timeline = Timeline::default();
    let mut at = 412_000;
    let letters: Vec<char> = text.chars().collect();
    for (number, piece) in letters.chunks(2).enumerate() {
        timeline.chunks.push(ChunkTime { offset: body.len() as u64, at_us: at });
        at += if number == 17 { 640_000 } else { 24_000 + (number as u64 * 7919) % 31_000 };
        let delta = serde_json::json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": model,
            "choices": [{"index": 0, "delta": {"content": piece.iter().collect::<String>()}, "finish_reason": null}]});
        body.push_str(&format!("data: {delta}\n\n"));
    }
    timeline.chunks.push(ChunkTime { offset: body.len() as u64, at_us: at });
    let last = serde_json::json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": model,
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1204, "completion_tokens": 86, "total_tokens": 1290, "prompt_tokens_details": {"cached_tokens": 1024}}});
    body.push_str(&format!("data: {last}\n\ndata: [DONE]\n\n"));
    (body, timeline)
}

fn common(exchange: &mut Exchange, app: &str, model: &str, asked: &str, answered: &str) {
    exchange.caller.app = Some(app.to_owned());
    exchange.caller.client_address = Some("127.0.0.1".to_owned());
    exchange.model_asked = Some(model.to_owned());
    exchange.model_served = Some(model.to_owned());
    exchange.asked_preview = asked.chars().take(200).collect();
    exchange.answered_preview = answered.chars().take(200).collect();
    exchange.usage.input_tokens = Some(1204);
    exchange.usage.output_tokens = Some(86);
    exchange.usage.cache_read_tokens = Some(1024);
    exchange.usage.provenance = Some(Provenance::Provider);
    exchange.cost_micros = Some(410);
    exchange.price_version = Some("2026-11-01".to_owned());
    exchange.relay_us = Some(110);
    exchange.first_byte_us = Some(380_000);
    exchange.first_token_us = Some(412_000);
    exchange.duration_us = Some(1_840_000);
}

/// A streamed answer after a tool was called.
pub(super) fn chat(builder: ExchangeBuilder) -> ExchangeRecord {
    let answer = "明天上海**多云转小雨**，气温 11 到 16 度，降雨概率 70 %，建议带伞。\n\n| 时段 | 天气 | 温度 |\n|---|---|---|\n| 上午 | 多云 | 12 |\n| 下午 | 小雨 | 16 |\n\n```python\nif rain > 0.5:\n    take(\"umbrella\")\n```";
    let request = serde_json::json!({
        "model": "gpt-4o-mini", "stream": true, "temperature": 0.2, "stream_options": {"include_usage": true},
        "messages": [
            {"role": "system", "content": "You are a travel assistant. Answer in the language of the question, briefly, and say whether to take an umbrella."},
            {"role": "user", "content": "明天上海的天气怎么样？要带伞吗"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\": \"上海\", \"day\": \"2026-11-21\"}"}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "{\"high\": 16, \"low\": 11, \"rain\": 0.7}"}
        ],
        "tools": [{"type": "function", "function": {"name": "get_weather", "description": "Weather of a city on a day", "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "day": {"type": "string"}}}}}]
    });
    let (body, timeline) = streamed(answer, "gpt-4o-mini");
    builder
        .with(|exchange| {
            common(
                exchange,
                "travel-bot",
                "gpt-4o-mini",
                "明天上海的天气怎么样？要带伞吗",
                "明天上海多云转小雨，气温 11 到 16 度，降雨概率 70 %，建议带伞。",
            );
            exchange.streamed = true;
            exchange.session = Some("trip-planning".to_owned());
            exchange.duration_us = timeline.chunks.last().map(|chunk| chunk.at_us + 12_000);
            exchange.trace_id = Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned());
            exchange.provider_request_id = Some("req_011CV9tyQm1".to_owned());
        })
        .with_heads(|heads| {
            heads.request = head(true, "application/json");
            heads.response = Some(head(false, "text/event-stream; charset=utf-8"));
        })
        .body(
            Leg::ClientRequest,
            request.to_string(),
            Timeline { chunks: vec![ChunkTime { offset: 0, at_us: 90 }] },
        )
        .body(Leg::ClientResponse, body, timeline)
        .build()
}

/// A long conversation of an agent.
pub(super) fn agent(builder: ExchangeBuilder) -> ExchangeRecord {
    let mut messages = Vec::new();
    for turn in 0..60 {
        messages.push(serde_json::json!({"role": "user", "content": format!("Step {turn}: run the tests and fix the next failure")}));
        messages.push(serde_json::json!({"role": "assistant", "content": [
            {"type": "text", "text": format!("Running step {turn}.")},
            {"type": "tool_use", "id": format!("toolu_{turn}"), "name": "bash", "input": {"command": format!("cargo nextest run --package step-{turn} 2>&1 | tail -40")}}]}));
        messages.push(serde_json::json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": format!("toolu_{turn}"), "is_error": turn % 9 == 4, "content": format!("running 12 tests\ntest framer::split_{turn} ... ok\ntest result: ok. 12 passed")}]}));
    }
    let request = serde_json::json!({"model": "claude-sonnet-4-5", "max_tokens": 4096, "system": "You are a careful engineer. ".repeat(400), "messages": messages});
    let response = serde_json::json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "stop_reason": "tool_use",
        "content": [{"type": "thinking", "thinking": "The framer drops the last byte when a frame ends exactly at the buffer's end. I should write a failing test first.", "signature": "sig"},
            {"type": "text", "text": "I'll look at the first failure: the framer drops the last byte."},
            {"type": "tool_use", "id": "toolu_x", "name": "read_file", "input": {"path": "crates/dialects/src/frames/sse.rs", "from": 120, "to": 180}}],
        "usage": {"input_tokens": 902, "cache_read_input_tokens": 64000, "cache_creation_input_tokens": 1200, "output_tokens": 233}});
    builder
        .with(|exchange| {
            common(
                exchange,
                "claude-code",
                "claude-sonnet-4-5",
                "[tool result] cargo test: 3 failed",
                "I'll look at the first failure: the framer drops the last byte.",
            );
            exchange.provider = "anthropic".to_owned();
            exchange.provider_dialect = ProviderDialect::Anthropic;
            exchange.dialect = Dialect::Anthropic;
            exchange.path = "/v1/messages".to_owned();
            exchange.usage.input_tokens = Some(66_102);
            exchange.usage.output_tokens = Some(233);
            exchange.cost_micros = Some(23_100);
        })
        .with_heads(|heads| {
            heads.request = head(true, "application/json");
            heads.response = Some(head(false, "application/json"));
        })
        .body(
            Leg::ClientRequest,
            request.to_string(),
            Timeline {
                chunks: vec![ChunkTime { offset: 0, at_us: 120 }, ChunkTime { offset: 16384, at_us: 300 }],
            },
        )
        .body(
            Leg::ClientResponse,
            response.to_string(),
            Timeline { chunks: vec![ChunkTime { offset: 0, at_us: 3_100_000 }] },
        )
        .build()
}

/// A picture, and reasoning.
pub(super) fn thinking(builder: ExchangeBuilder) -> ExchangeRecord {
    let dot = "iVBORw0KGgoAAAANSUhEUgAAAGQAAAAoCAIAAACHGsgUAAAAT0lEQVR42u3QMREAAAgEoO9fWmdwZwEBqCQTEAIhEAIhEAIhEAIhEAIhEAIhEAIhEAIhEAIhEAIhEAIhEAIhEAIhEAIhEAIhEAIhEPhkAfqmAFH3C0a5AAAAAElFTkSuQmCC";
    let request = serde_json::json!({"model": "deepseek-reasoner", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "What is in this picture, and in the one behind the link?"},
        {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{dot}")}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}]}]});
    let response = serde_json::json!({"id": "1", "object": "chat.completion", "model": "deepseek-reasoner", "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "reasoning_content": "The first is a plain rectangle. The second I can't see.", "content": "The first is a **plain rectangle**; the second is a [picture of a cat](https://example.com/cat)."}}],
        "usage": {"prompt_tokens": 1204, "completion_tokens": 86, "total_tokens": 1290}});
    builder
        .with(|exchange| {
            common(
                exchange,
                "notebook",
                "deepseek-reasoner",
                "What is in this picture, and in the one behind the link?",
                "The first is a plain rectangle; the second is a picture of a cat.",
            );
            exchange.usage.reasoning_tokens = Some(61);
            exchange.usage.provenance = Some(Provenance::Estimated);
        })
        .with_heads(|heads| heads.request = head(true, "application/json"))
        .request(request.to_string())
        .response(response.to_string())
        .build()
}

/// Everything that might run, if it were let.
pub(super) fn hostile(builder: ExchangeBuilder) -> ExchangeRecord {
    let text = "<script>window.pwned=1</script> <img src=x onerror=\"window.pwned=1\"> [click](javascript:window.pwned=1) ![x](https://example.com/pixel.png)";
    let request = serde_json::json!({"model": "<b>gpt</b>", "messages": [{"role": "user", "name": "<i>", "content": text}]});
    let response = serde_json::json!({"id": "1", "object": "chat.completion", "model": "<b>gpt</b>", "choices": [{"index": 0, "finish_reason": "<stop>",
        "message": {"role": "assistant", "content": text}}]});
    builder
        .with(|exchange| common(exchange, "<script>window.pwned=1</script>", "<b>gpt</b>", text, text))
        .request(request.to_string())
        .response(response.to_string())
        .build()
}

/// A text of a megabyte.
pub(super) fn long(builder: ExchangeBuilder) -> ExchangeRecord {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(22_000);
    let request = serde_json::json!({"model": "gpt-4o", "messages": [{"role": "user", "content": format!("Proofread this:\n{text}")}]});
    let response = serde_json::json!({"id": "1", "object": "chat.completion", "model": "gpt-4o", "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": text}}]});
    builder
        .with(|exchange| {
            common(
                exchange,
                "editor",
                "gpt-4o",
                "Proofread this: The quick brown fox jumps over the lazy dog.",
                &text,
            );
        })
        .request(request.to_string())
        .response(response.to_string())
        .build()
}

/// Twenty megabytes in a thousand messages.
pub(super) fn huge(builder: ExchangeBuilder) -> ExchangeRecord {
    let text = "0123456789abcdef ".repeat(1_200);
    let messages: Vec<_> = (0..1_000)
        .map(|at| serde_json::json!({"role": if at % 2 == 0 { "user" } else { "assistant" }, "content": format!("{at}: {text}")}))
        .collect();
    let request = serde_json::json!({"model": "gpt-4o", "messages": messages});
    builder
        .with(|exchange| {
            common(exchange, "loader", "gpt-4o", "999: 0123456789abcdef", "");
            exchange.outcome = Outcome::UpstreamAborted;
            exchange.error = Some("the provider closed the connection before its answer".to_owned());
            exchange.status = Some(502);
        })
        .request(request.to_string())
        .build()
}
