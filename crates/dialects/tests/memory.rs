//! Whatever somebody sends, reading it takes a bounded amount of memory. Measured on the process itself, by Linux's
//! count of its pages; a file of its own, with a single test, so that nothing else counts.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test, with its message")]

use std::fs;

use verbatim_core::model::{Headers, ProviderDialect};
use verbatim_dialects::{ExchangeView, detect, read};
use verbatim_testkit::{peak_memory, resident_memory};

/// The length of each hostile body, in bytes.
const BODY: usize = 8 << 20;
/// The most memory that reading one of them may take, in bytes: parsed values, what is made of them while they are
/// still there, and copies of the body. Unbounded, most of these shapes take one to ten gigabytes.
const MOST: usize = 448 << 20;

/// A body, where it goes, and a name for it.
struct Case {
    name: String,
    provider: ProviderDialect,
    path: &'static str,
    is_request: bool,
    status: u16,
    body: Vec<u8>,
}

const CHAT: (ProviderDialect, &str) = (ProviderDialect::Openai, "/v1/chat/completions");
const RESPONSES: (ProviderDialect, &str) = (ProviderDialect::Openai, "/v1/responses");
const EMBEDDINGS: (ProviderDialect, &str) = (ProviderDialect::Openai, "/v1/embeddings");
const ANTHROPIC: (ProviderDialect, &str) = (ProviderDialect::Anthropic, "/v1/messages");
const GEMINI: (ProviderDialect, &str) = (ProviderDialect::Gemini, "/v1beta/models/g:streamGenerateContent");
const INTERACTIONS: (ProviderDialect, &str) = (ProviderDialect::Gemini, "/v1beta/interactions");
const OLLAMA: (ProviderDialect, &str) = (ProviderDialect::Ollama, "/api/chat");
const BEDROCK: (ProviderDialect, &str) = (ProviderDialect::Raw, "/model/x/converse");

/// What fills a list or an object, again and again.
const ENTRIES: [&str; 12] = [
    "1",
    "\"\"",
    "{}",
    "[]",
    "{\"\":0}",
    "[[[[]]]]",
    "{\"a\":{\"b\":{\"c\":{}}}}",
    "{\"role\":\"tool\"}",
    "{\"type\":\"text\",\"text\":\"\"}",
    "{\"parts\":[{\"text\":\"\"}]}",
    "{\"type\":\"function_call\"}",
    "{\"functionCall\":{}}",
];

fn filled(before: &str, entry: &str, after: &str) -> String {
    let times = BODY / (entry.len() + 1);
    let mut body = String::with_capacity(BODY + before.len() + after.len() + 2);
    body.push_str(before);
    for time in 0..times {
        body.push_str(if time == 0 { "" } else { "," });
        body.push_str(entry);
    }
    body.push_str(after);
    body
}

/// Requests and documents: lists of everything where a dialect looks for lists, and objects of many keys.
fn documents() -> impl Iterator<Item = Case> {
    let places = [
        (true, "{\"messages\":[", "]}", &[CHAT, ANTHROPIC, OLLAMA, BEDROCK][..]),
        (true, "{\"input\":[", "]}", &[RESPONSES, EMBEDDINGS, INTERACTIONS]),
        (true, "{\"contents\":[{\"parts\":[", "]}]}", &[GEMINI]),
        (false, "{\"choices\":[{\"message\":{\"content\":[", "]}}]}", &[CHAT]),
        (false, "{\"content\":[", "]}", &[ANTHROPIC]),
        (false, "{\"output\":[", "]}", &[RESPONSES]),
        (false, "{\"usage\":{\"a\":[", "]},\"data\":[]}", &[EMBEDDINGS]),
        (false, "{\"error\":[", "]}", &[CHAT]),
    ];
    let lists = places.into_iter().flat_map(|(is_request, before, after, calls)| {
        calls.iter().flat_map(move |&(provider, path)| {
            ENTRIES.into_iter().map(move |entry| Case {
                name: format!("{before}{entry},...{after} at {path}"),
                provider,
                path,
                is_request,
                status: 200,
                body: filled(before, entry, after).into_bytes(),
            })
        })
    });
    let keys: Vec<String> = (0..BODY / 12).map(|at| format!("\"{at}\":0")).collect();
    let keys = Case {
        name: "many keys".to_owned(),
        provider: CHAT.0,
        path: CHAT.1,
        is_request: true,
        status: 200,
        body: format!("{{\"metadata\":{{{}}}}}", keys.join(",")).into_bytes(),
    };
    lists.chain([keys])
}

/// Streams of small events that leave something behind.
fn streams() -> impl Iterator<Item = Case> {
    let events = [
        (CHAT, r#"{"choices":[{"index":@,"delta":{"content":"x"}}]}"#),
        (CHAT, r#"{"choices":[{"index":@}]}"#),
        (CHAT, r#"{"choices":[{"delta":{"x":[{},{},{},{}]}}]}"#),
        (CHAT, r#"{"choices":[{"delta":{"content":[{"a":1}]}}]}"#),
        (CHAT, r#"{"choices":[{"delta":{"tool_calls":[{"index":@,"id":"@"}]}}]}"#),
        (CHAT, r#"{"choices":[{"logprobs":{"content":[{"a":{}}]}}]}"#),
        (ANTHROPIC, r#"{"type":"content_block_start","index":@,"content_block":{"a":{}}}"#),
        (RESPONSES, r#"{"type":"response.output_item.done","output_index":@,"item":{"a":{}}}"#),
        (
            RESPONSES,
            r#"{"type":"response.content_part.done","output_index":@,"content_index":9999,"part":{}}"#,
        ),
        (GEMINI, r#"{"candidates":[{"index":@,"content":{"parts":[{"a":{}}]}}]}"#),
        (INTERACTIONS, r#"{"event_type":"step.delta","index":@,"delta":{"a":{}}}"#),
        (OLLAMA, r#"{"message":{"tool_calls":[{}]}}"#),
        (OLLAMA, r#"{"@":{}}"#),
        (BEDROCK, r#"{"choices":[{"index":@,"delta":{"x":{}}}]}"#),
        (CHAT, ""),
    ];
    events.into_iter().map(|((provider, path), event)| {
        let mut body = String::with_capacity(BODY + 1_000);
        let mut at = 0_u64;
        while body.len() < BODY {
            at += 1;
            body.push_str("data: ");
            body.push_str(&event.replace('@', &at.to_string()));
            body.push_str(if event.is_empty() { "\n" } else { "\n\n" });
        }
        Case {
            name: format!("events {event} at {path}"),
            provider,
            path,
            is_request: false,
            status: 200,
            body: body.into_bytes(),
        }
    })
}

/// Tunnels of small frames: signs of life, empty messages, and events that leave something behind.
fn tunnels() -> impl Iterator<Item = Case> {
    let item = br#"{"type":"conversation.item.create","item":{}}"#;
    let item = [&[0x81, item.len() as u8][..], item].concat();
    [("pings", b"\x89\x00".to_vec()), ("empty texts", b"\x81\x00".to_vec()), ("items", item)].into_iter().map(
        |(name, frame)| Case {
            name: format!("a tunnel of {name}"),
            provider: ProviderDialect::Openai,
            path: "/v1/realtime",
            is_request: true,
            status: 101,
            body: frame.repeat(BODY / frame.len()),
        },
    )
}

/// Forgets how much memory the process once had.
fn reset_peak() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// How much memory the process has, and had at most, in bytes.
fn memory() -> (usize, usize) {
    let told = |bytes: Option<u64>| usize::try_from(bytes.unwrap()).unwrap();
    let process = std::process::id();
    (told(resident_memory(process)), told(peak_memory(process)))
}

/// The most that the process has while it reads this.
fn peak(case: &Case) -> usize {
    let (headers, body, none) = (Headers::default(), &case.body[..], &b""[..]);
    let (request_body, response_body) = if case.is_request { (body, none) } else { (none, body) };
    reset_peak();
    drop(read(&ExchangeView {
        provider_dialect: case.provider,
        dialect: detect(case.provider, "POST", case.path),
        method: "POST",
        path: case.path,
        request_headers: &headers,
        request_body,
        status: Some(case.status),
        response_headers: &headers,
        response_body,
        response_complete: true,
    }));
    memory().1
}

#[test]
fn no_shape_of_body_takes_more_memory_than_there_is_for_one() {
    let (before, _) = memory();
    let mut worst = (0, String::new());
    let mut over = Vec::new();
    for case in documents().chain(streams()).chain(tunnels()) {
        let taken = peak(&case).saturating_sub(before + case.body.len());
        if taken > MOST {
            over.push(format!("{} MiB for {}", taken >> 20, case.name));
        }
        if taken > worst.0 {
            worst = (taken, case.name);
        }
    }
    println!("at most {} MiB: {}", worst.0 >> 20, worst.1);
    assert!(over.is_empty(), "{}", over.join("\n"));
}
