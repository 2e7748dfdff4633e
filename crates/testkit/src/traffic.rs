//! Records of calls as they travel: for measurements, and for tests that ask how small something is kept.

use std::fmt::Write;

use verbatim_core::model::{ExchangeRecord, Headers};

use crate::ExchangeBuilder;

/// Text of words as frequent as in prose, the same for the same seed.
#[derive(Debug, Clone)]
pub struct Words {
    state: u64,
}

impl Words {
    /// One seed gives one text.
    pub fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// A number below `below`.
    pub fn number(&mut self, below: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) % below.max(1)
    }

    /// About so many bytes. Word `n` is as frequent as in Zipf's law, from some 4,000.
    pub fn text(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 16);
        while text.len() < bytes {
            let rank = 4000_f64.powf(self.number(1 << 20) as f64 / f64::from(1 << 20)) as u64;
            let mut word = rank.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            for _ in 0..2 + (rank.ilog2() / 2) {
                text.push(char::from(b'a' + (word % 26) as u8));
                word /= 26;
            }
            text.push(' ');
        }
        text.truncate(bytes);
        text
    }

    /// So many hexadecimal digits.
    pub fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from_digit(self.number(16) as u32, 16).unwrap_or('0')).collect()
    }
}

/// A chat call whose request and answer have about so many bytes each.
pub fn call(words: &mut Words, bytes: usize) -> ExchangeRecord {
    let text = words.text(bytes.saturating_sub(180));
    let request = format!(
        r#"{{"model":"gpt-4o-mini","messages":[{{"role":"system","content":"You are a helpful assistant."}},{{"role":"user","content":"{text}"}}],"temperature":0.7,"max_tokens":256}}"#
    );
    let (id, text) = (words.hex(24), words.text(bytes.saturating_sub(420)));
    let response = format!(
        r#"{{"id":"chatcmpl-{id}","object":"chat.completion","created":{},"model":"gpt-4o-mini-2024-07-18","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":512,"prompt_tokens_details":{{"cached_tokens":0}}}},"system_fingerprint":"fp_{}"}}"#,
        1_795_000_000 + words.number(300_000),
        words.number(900),
        words.number(900),
        words.hex(10),
    );
    let asked = request.chars().skip(120).take(200).collect();
    let answered = text.chars().take(200).collect();
    let request_head = headers(&[
        ("host", "127.0.0.1:8080".to_owned()),
        ("accept", "application/json".to_owned()),
        ("content-type", "application/json".to_owned()),
        ("content-length", request.len().to_string()),
        ("user-agent", "OpenAI/Python 2.8.1".to_owned()),
        ("x-stainless-lang", "python".to_owned()),
        ("x-stainless-os", "Linux".to_owned()),
        ("x-stainless-runtime-version", "3.12.3".to_owned()),
        ("authorization", format!("redacted:{}", "3f9a6c1d5e7b2a40")),
    ]);
    let response_head = headers(&[
        ("content-type", "application/json".to_owned()),
        ("content-length", response.len().to_string()),
        ("date", "Sat, 21 Nov 2026 00:00:00 GMT".to_owned()),
        ("x-request-id", format!("req_{}", words.hex(32))),
        ("openai-processing-ms", words.number(3000).to_string()),
        ("x-ratelimit-remaining-tokens", words.number(200_000).to_string()),
        ("cf-ray", format!("{}-FRA", words.hex(16))),
    ]);
    ExchangeBuilder::minted()
        .with(|exchange| {
            exchange.caller.app = Some("OpenAI/Python 2.8.1".to_owned());
            exchange.caller.credential = Some("3f9a6c1d5e7b2a40".to_owned());
            exchange.caller.client_address = Some("127.0.0.1".to_owned());
            exchange.model_asked = Some("gpt-4o-mini".to_owned());
            exchange.model_served = Some("gpt-4o-mini-2024-07-18".to_owned());
            exchange.provider_request_id = Some(format!("req_{}", words.hex(32)));
            exchange.duration_us = Some(200_000 + words.number(2_000_000));
            exchange.asked_preview = asked;
            exchange.answered_preview = answered;
        })
        .with_heads(|heads| {
            heads.request.headers = request_head;
            heads.response.get_or_insert_default().headers = response_head;
        })
        .request(request)
        .response(response)
        .build()
}

fn headers(list: &[(&str, String)]) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in list {
        headers.push(*name, value.clone());
    }
    headers
}

/// The calls of an agent's conversation: each sends the whole history again, and then some. With a system prompt of
/// 10 KB, ten tools, and a tool result of 2 to 8 KB a turn.
pub fn conversation(turns: usize, seed: u64) -> Vec<ExchangeRecord> {
    let mut words = Words::new(seed);
    let mut history = format!(r#"{{"role":"system","content":"{}"}}"#, words.text(10 * 1024));
    let mut tools = String::new();
    for tool in 0..10 {
        let separator = if tool == 0 { "" } else { "," };
        let (name, description) = (words.hex(8), words.text(400));
        let _ = write!(
            tools,
            r#"{separator}{{"type":"function","function":{{"name":"tool_{name}","description":"{description}","parameters":{{"type":"object","properties":{{"path":{{"type":"string"}}}},"required":["path"]}}}}}}"#
        );
    }
    let question = words.text(400);
    let _ = write!(history, r#",{{"role":"user","content":"{question}"}}"#);
    (0..turns).map(|_| turn(&mut words, &mut history, &tools)).collect()
}

fn turn(words: &mut Words, history: &mut String, tools: &str) -> ExchangeRecord {
    let request = format!(
        r#"{{"model":"gpt-4o","messages":[{history}],"tools":[{tools}],"tool_choice":"auto","temperature":0.2}}"#
    );
    let (id, call, text, path) = (words.hex(24), words.hex(24), words.text(300), words.text(40));
    let message = format!(
        r#"{{"role":"assistant","content":"{text}","tool_calls":[{{"id":"call_{call}","type":"function","function":{{"name":"read","arguments":"{{\"path\":\"{path}\"}}"}}}}]}}"#
    );
    let response = format!(
        r#"{{"id":"chatcmpl-{id}","object":"chat.completion","created":1795000000,"model":"gpt-4o-2024-11-20","choices":[{{"index":0,"message":{message},"logprobs":null,"finish_reason":"tool_calls"}}],"usage":{{"prompt_tokens":{},"completion_tokens":120,"total_tokens":{}}}}}"#,
        request.len() / 4,
        request.len() / 4 + 120,
    );
    let length = 2048 + words.number(6 * 1024) as usize;
    let result = words.text(length);
    let _ =
        write!(history, r#",{message},{{"role":"tool","tool_call_id":"call_{call}","content":"{result}"}}"#);
    ExchangeBuilder::minted()
        .with(|exchange| {
            exchange.session = Some("agent".to_owned());
            exchange.caller.project = Some("agents".to_owned());
        })
        .request(request)
        .response(response)
        .build()
}
