//! The calls that are made: a fixed mix, so that a failing run can be repeated.

use std::time::Duration;

/// What a call is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Answered whole.
    Whole,
    /// The client leaves once it has so many bytes.
    Leave {
        /// Bytes after which it leaves.
        after: usize,
    },
    /// The provider resets the connection in between.
    Reset,
    /// The provider answers with this status.
    Status(u16),
}

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Names it in client, ledger and archive: the `x-mock-id` header.
    pub(crate) id: String,
    /// Path below the relay.
    pub(crate) path: &'static str,
    /// Headers beside the id.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// What it is to become.
    pub(crate) kind: Kind,
}

/// The longest that any call is silent by itself.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

fn chat(number: usize, stream: bool) -> Vec<u8> {
    let words = "How does one keep every byte? 天气怎么样? ".repeat(1 + number % 20);
    serde_json::json!({"model": "gpt-4o-mini", "stream": stream, "messages": [
        {"role": "user", "content": format!("call {number}: {words}")}]})
    .to_string()
    .into_bytes()
}

/// Call `number` of the mix; `run` tells runs apart.
pub(crate) fn mixed(run: &str, number: usize) -> Call {
    let id = format!("{run}-{number}");
    let call = |path, mock: &str, body, kind| Call {
        id: id.clone(),
        path,
        headers: vec![("x-mock", mock.to_owned())],
        body,
        kind,
    };
    const CHAT: &str = "/v1/chat/completions";
    match number % 12 {
        0..=2 => call(CHAT, "", chat(number, false), Kind::Whole),
        3 | 4 => call(CHAT, "chunks=20; chunk-delay=1ms", chat(number, true), Kind::Whole),
        5 => {
            let body = serde_json::json!({"model": "text-embedding-3-small", "input": [format!("call {number}"), "天气"]});
            call("/v1/embeddings", "", body.to_string().into_bytes(), Kind::Whole)
        }
        6 => call(CHAT, "chunks=400; chunk-delay=5ms", chat(number, true), Kind::Leave { after: 300 }),
        7 => call(CHAT, "chunks=20; flush; chunk-delay=1ms; reset-after=5", chat(number, true), Kind::Reset),
        8 => {
            let status = if number % 24 == 8 { 429 } else { 500 };
            call(CHAT, &format!("status={status}"), chat(number, false), Kind::Status(status))
        }
        9 => call(CHAT, "encoding=gzip; chunks=10; chunk-delay=1ms", chat(number, true), Kind::Whole),
        10 => {
            let body = serde_json::json!({"model": "claude-sonnet-4-5", "max_tokens": 100, "stream": true,
                "messages": [{"role": "user", "content": format!("call {number}")}]});
            let mut call = call("/v1/messages", "crlf; split", body.to_string().into_bytes(), Kind::Whole);
            call.headers.push(("anthropic-version", "2023-06-01".to_owned()));
            call
        }
        _ => {
            let body = serde_json::json!({"contents": [{"role": "user", "parts": [{"text": format!("call {number}")}]}]});
            call(
                "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
                "chunks=10; chunk-delay=1ms",
                body.to_string().into_bytes(),
                Kind::Whole,
            )
        }
    }
}

/// A call that sends `bytes` bytes and gets as many back.
pub(crate) fn large(run: &str, number: usize, bytes: usize) -> Call {
    let text: String =
        (0..bytes).map(|at| char::from(b'a' + ((at * 31 + number + at / 977) % 26) as u8)).collect();
    let body = serde_json::json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]});
    Call {
        id: format!("{run}-large-{number}"),
        path: "/v1/chat/completions",
        headers: vec![("x-mock", format!("size={bytes}"))],
        body: body.to_string().into_bytes(),
        kind: Kind::Whole,
    }
}
