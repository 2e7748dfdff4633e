//! How fast exchanges are read: `cargo run --release -p verbatim-dialects --example speed`.
//!
//! Prints for each kind of body its size and the median and best of many readings, in megabytes a second.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use verbatim_core::model::{Headers, ProviderDialect};
use verbatim_dialects::{ExchangeView, detect, read};

struct Case {
    name: &'static str,
    provider: ProviderDialect,
    path: &'static str,
    request: String,
    answer: String,
}

fn main() {
    for case in cases() {
        let bytes = (case.request.len() + case.answer.len()) as f64;
        let mut times: Vec<Duration> = (0..(40e6 / bytes) as usize + 15)
            .map(|_| {
                let began = Instant::now();
                black_box(read(&view(&case)));
                began.elapsed()
            })
            .collect();
        times.sort_unstable();
        let rate = |time: Duration| bytes / 1e6 / time.as_secs_f64();
        println!(
            "{:32} {:8.1} KB   median {:7.1} MB/s   best {:7.1} MB/s",
            case.name,
            bytes / 1e3,
            rate(times[times.len() / 2]),
            rate(times[0])
        );
    }
}

static NO_HEADERS: Headers = Headers(Vec::new());

fn view(case: &Case) -> ExchangeView<'_> {
    ExchangeView {
        provider_dialect: case.provider,
        dialect: detect(case.provider, "POST", case.path),
        method: "POST",
        path: case.path,
        request_headers: &NO_HEADERS,
        request_body: case.request.as_bytes(),
        status: Some(200),
        response_headers: &NO_HEADERS,
        response_body: case.answer.as_bytes(),
        response_complete: true,
    }
}

fn cases() -> Vec<Case> {
    let openai = ProviderDialect::Openai;
    let chat = "/v1/chat/completions";
    let small =
        r#"{"model":"gpt-4o","messages":[{"role":"user","content":"What is the capital of France?"}]}"#;
    let answer = r#"{"id":"c1","object":"chat.completion","model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"Paris."},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;
    let case = |name, provider, path, request: &str, answer: String| Case {
        name,
        provider,
        path,
        request: request.to_owned(),
        answer,
    };
    vec![
        case("chat, short", openai, chat, small, answer.to_owned()),
        case("chat, agent of 60 turns", openai, chat, &agent(60), answer.to_owned()),
        case("chat, agent of 2000 turns", openai, chat, &agent(2_000), answer.to_owned()),
        case("chat, streamed", openai, chat, small, chat_stream(1_000, "null")),
        case("chat, streamed with logprobs", openai, chat, small, chat_stream(500, LOGPROBS)),
        case(
            "responses, streamed",
            openai,
            "/v1/responses",
            r#"{"model":"m","input":"Hi"}"#,
            responses_stream(1_000),
        ),
        case(
            "gemini, streamed",
            ProviderDialect::Gemini,
            "/v1beta/models/g:streamGenerateContent",
            "{}",
            gemini_stream(500),
        ),
        case(
            "gemini, vectors",
            ProviderDialect::Gemini,
            "/v1beta/models/g:batchEmbedContents",
            "{}",
            format!(
                r#"{{"embeddings":[{}]}}"#,
                vec![format!(r#"{{"values":[{}]}}"#, vec!["0.0123456"; 768].join(",")); 100].join(",")
            ),
        ),
        case("chat, picture of 4 MB", openai, chat, &picture(), answer.to_owned()),
    ]
}

const LOGPROBS: &str = r#"{"content":[{"token":" w","logprob":-0.1,"bytes":[32,119],"top_logprobs":[{"token":" w","logprob":-0.1,"bytes":[32,119]},{"token":" x","logprob":-2.1,"bytes":[32,120]},{"token":" y","logprob":-3.1,"bytes":[32,121]}]}]}"#;

fn agent(turns: usize) -> String {
    let mut messages = String::from(r#"{"role":"system","content":"You are a careful engineer."}"#);
    for turn in 0..turns {
        write!(
            messages,
            r#",{{"role":"assistant","content":null,"tool_calls":[{{"id":"call_{turn}","type":"function","function":{{"name":"read_file","arguments":"{{\"path\":\"src/{turn}.rs\"}}"}}}}]}},{{"role":"tool","tool_call_id":"call_{turn}","content":"{}"}}"#,
            "fn main() { println!(\\\"hello\\\"); }\\n".repeat(20)
        )
        .expect("writing into memory");
    }
    format!(r#"{{"model":"gpt-4o","stream":false,"messages":[{messages}],"temperature":0.2}}"#)
}

fn chat_stream(chunks: usize, logprobs: &str) -> String {
    let mut stream = String::new();
    for _ in 0..chunks {
        write!(stream, "data: {{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" word\"}},\"logprobs\":{logprobs},\"finish_reason\":null}}]}}\n\n")
            .expect("writing into memory");
    }
    stream.push_str(
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
    );
    stream
}

fn responses_stream(events: usize) -> String {
    let mut stream = String::new();
    for at in 0..events {
        write!(stream, "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"sequence_number\":{at},\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\" word\",\"logprobs\":[]}}\n\n")
            .expect("writing into memory");
    }
    stream.push_str("data: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"model\":\"m\",\"output\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":1000}}}\n\n");
    stream
}

fn gemini_stream(chunks: usize) -> String {
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" some words\"}],\"role\":\"model\"},\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":4,\"candidatesTokenCount\":9,\"totalTokenCount\":13},\"modelVersion\":\"g\",\"responseId\":\"r\"}\n\n".repeat(chunks)
}

fn picture() -> String {
    let data = "iVBORw0K".repeat(512 * 1024);
    format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}]}}]}}"#
    )
}
