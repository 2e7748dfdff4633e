//! Recorded provider traffic through the relay: what comes back and what is archived are the recorded bytes, and the
//! record's model, usage and finish are those of the recording.

use std::path::PathBuf;

use crate::relay::Relay;
use crate::verdict::{open_exchanges, read_archive};
use base64::Engine as _;
use serde_json::Value;
use verbatim_mock_provider::{Config, MockProvider};

/// Where the recordings are: `VERBATIM_FIXTURES`, or beside the workspace.
#[expect(clippy::disallowed_methods, reason = "tests find their recordings by it")]
fn recordings() -> Option<PathBuf> {
    let directory = std::env::var_os("VERBATIM_FIXTURES").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures")),
        PathBuf::from,
    );
    let file = directory.join("traffic.jsonl");
    file.exists().then_some(file)
}

/// The wire language that a recording's provider speaks.
fn dialect(line: &Value) -> &'static str {
    match (line["provider"].as_str().unwrap_or_default(), line["api"].as_str().unwrap_or_default()) {
        ("anthropic", _) | (_, "messages") => "anthropic",
        ("gemini" | "vertex", "chat.completions") => "openai",
        ("gemini" | "vertex", _) => "gemini",
        ("ollama", "chat(native)" | "generate(native)") => "ollama",
        ("bedrock" | "cohere" | "watsonx" | "replicate" | "deepgram" | "voyage", _) => "raw",
        _ => "openai",
    }
}

fn bytes(line: &Value, text: &str, base64: &str) -> Vec<u8> {
    match (line[base64].as_str(), line[text].as_str()) {
        (Some(coded), _) => base64::engine::general_purpose::STANDARD.decode(coded).unwrap(),
        (None, Some(text)) => text.as_bytes().to_vec(),
        (None, None) => Vec::new(),
    }
}

/// What the archive keeps of a body: every byte, but for the one credential in the recordings that passes in a body (an
/// ephemeral key), which is masked at its own length.
fn as_recorded(mut body: Vec<u8>) -> Vec<u8> {
    let (secret, masked) = (br#""value": "ek_scrubbed""#, br#""value": "ek_redacted""#);
    if let Some(at) = body.windows(secret.len()).position(|window| window == secret) {
        body[at..at + secret.len()].copy_from_slice(masked);
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_traffic_comes_back_and_is_archived_byte_for_byte() {
    let Some(file) = recordings() else {
        eprintln!("skipped: no recorded traffic (set VERBATIM_FIXTURES)");
        return;
    };
    let lines: Vec<Value> = std::fs::read_to_string(&file)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mock = MockProvider::start(Config { replay: Some(file), ..Config::default() }).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let base = format!("http://{}", mock.address());
    let mut relay = Relay::with_providers(
        directory.path(),
        ["openai", "anthropic", "gemini", "ollama", "raw"]
            .map(|name| (format!("recorded-{name}"), name, base.clone())),
        "best_effort",
    );
    relay.start().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (number, line) in lines.iter().enumerate() {
        let url =
            format!("{}/recorded-{}{}", relay.gateway(), dialect(line), line["url_path"].as_str().unwrap());
        let method: reqwest::Method = line["method"].as_str().unwrap().parse().unwrap();
        let mut request = http
            .request(method, url)
            .header("x-mock-replay", (number + 1).to_string())
            .header("x-mock-id", number.to_string())
            .body(bytes(line, "request_body", "request_body_b64"));
        for (name, value) in line["request_headers"].as_object().into_iter().flatten() {
            if !["host", "content-length", "connection", "transfer-encoding", "expect"]
                .contains(&name.to_lowercase().as_str())
            {
                request = request.header(name, value.as_str().unwrap_or_default());
            }
        }
        let response = request.send().await.unwrap_or_else(|error| panic!("line {number}: {error}"));
        assert_eq!(u64::from(response.status().as_u16()), line["status"].as_u64().unwrap(), "line {number}");
        let got = response.bytes().await.unwrap_or_else(|error| panic!("line {number}: {error}"));
        assert!(got == bytes(line, "", "response_body"), "line {number} came back changed");
    }
    relay.stop().await;
    assert_eq!(open_exchanges(&relay.data).await, 0);
    let archive = read_archive(&relay.data).await;
    let mut faults = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let records = archive.get(&number.to_string()).map(Vec::as_slice).unwrap_or_default();
        let [record] = records else {
            faults.push(format!("line {number}: archived {} times", records.len()));
            continue;
        };
        if record.request != as_recorded(bytes(line, "request_body", "request_body_b64")) {
            faults.push(format!("line {number}: the archived request differs"));
        }
        if record.response != as_recorded(bytes(line, "", "response_body")) {
            faults.push(format!("line {number}: the archived answer differs"));
        }
        faults.extend(usage_faults(line, &record.exchange).map(|fault| format!("line {number}: {fault}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    mock.shutdown().await;
}

/// Compares usage with what a plain look at the recording finds: the last usage object of an OpenAI-shaped answer.
fn usage_faults(line: &Value, exchange: &verbatim_core::model::Exchange) -> Option<String> {
    if line["api"] != "chat.completions" || line["status"] != 200 {
        return None;
    }
    let raw = bytes(line, "", "response_body");
    let body = if raw.starts_with(&[0x1f, 0x8b]) {
        let mut text = Vec::new();
        // A stream that was cut is still readable up to the cut.
        let _ = std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(raw.as_slice()), &mut text);
        text
    } else {
        raw
    };
    let text = String::from_utf8_lossy(&body);
    let events: Vec<Value> = if line["streaming"] == true {
        text.lines()
            .filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok())
            .collect()
    } else {
        serde_json::from_str(&text).into_iter().collect()
    };
    let usage = events.iter().rev().find_map(|event| {
        let usage = if event["usage"].is_object() { &event["usage"] } else { &event["x_groq"]["usage"] };
        let (input, output) = (usage["prompt_tokens"].as_u64()?, usage["completion_tokens"].as_u64());
        // xAI counts reasoning beside completion_tokens, not in it: its total tells.
        let reasoning = usage["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap_or(0);
        let beside =
            output.is_some_and(|output| usage["total_tokens"].as_u64() == Some(input + output + reasoning));
        Some((input, output.map(|output| if beside { output + reasoning } else { output })))
    })?;
    let archived = (exchange.usage.input_tokens.unwrap_or(0), exchange.usage.output_tokens);
    (archived != usage).then(|| format!("usage {archived:?}, recorded {usage:?}"))
}
