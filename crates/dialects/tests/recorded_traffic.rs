//! Recorded traffic of real providers, read and checked against what a simpler reader finds in the same bytes.
//!
//! The recordings are not part of this project. Where they are absent, these tests say so and pass.

use std::fmt::Write as _;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use verbatim_core::model::{Dialect, Headers, Provenance, ProviderDialect};
use verbatim_dialects::{ExchangeView, Part, Reading, detect, estimate, read, text};

/// One recorded exchange.
struct Recorded {
    line: usize,
    provider: String,
    api: String,
    method: String,
    path: String,
    status: u16,
    request_headers: Headers,
    request: Vec<u8>,
    response_headers: Headers,
    response: Vec<u8>,
    /// The response without its compression.
    plain: Vec<u8>,
}

#[expect(clippy::disallowed_methods, reason = "where recordings are is the test environment's to say")]
fn recorded() -> Vec<Recorded> {
    let folder = std::env::var_os("VERBATIM_FIXTURES").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures")),
        PathBuf::from,
    );
    let Ok(lines) = std::fs::read_to_string(folder.join("traffic.jsonl")) else {
        println!("skipped: no traffic.jsonl in {}", folder.display());
        return Vec::new();
    };
    lines
        .lines()
        .enumerate()
        .map(|(line, json)| Recorded::parse(line, &serde_json::from_str(json).unwrap()))
        .collect()
}

impl Recorded {
    fn parse(line: usize, json: &Value) -> Self {
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        let headers = |key: &str| {
            let pairs = json[key].as_object().into_iter().flatten();
            Headers(
                pairs
                    .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned().into()))
                    .collect(),
            )
        };
        let response = STANDARD.decode(text("response_body")).unwrap();
        let plain = if response.starts_with(&[0x1f, 0x8b]) {
            let mut plain = Vec::new();
            std::io::copy(&mut flate2::read::GzDecoder::new(&response[..]), &mut plain).unwrap();
            plain
        } else {
            response.clone()
        };
        Self {
            line,
            provider: text("provider"),
            api: text("api"),
            method: text("method"),
            path: text("url_path"),
            status: u16::try_from(json["status"].as_u64().unwrap()).unwrap(),
            request_headers: headers("request_headers"),
            request: match json["request_body_b64"].as_str() {
                Some(body) => STANDARD.decode(body).unwrap(),
                None => text("request_body").into_bytes(),
            },
            response_headers: headers("response_headers"),
            response,
            plain,
        }
    }

    fn provider_dialect(&self) -> ProviderDialect {
        match self.provider.as_str() {
            "anthropic" => ProviderDialect::Anthropic,
            "gemini" | "vertex" => ProviderDialect::Gemini,
            "ollama" => ProviderDialect::Ollama,
            "bedrock" | "cohere" | "watsonx" | "replicate" | "writer" | "deepgram" | "heroku"
            | "pydantic-gateway" => ProviderDialect::Raw,
            _ => ProviderDialect::Openai,
        }
    }

    /// What the dialect must be told as; `None` where any will do.
    fn dialect(&self) -> Option<Dialect> {
        Some(match (self.api.as_str(), self.provider_dialect()) {
            ("chat.completions", _) => Dialect::OpenaiChat,
            ("responses", _) => Dialect::OpenaiResponses,
            ("messages" | "anthropic.complete" | "count_tokens", ProviderDialect::Anthropic) => {
                Dialect::Anthropic
            }
            (
                "generateContent"
                | "streamGenerateContent"
                | "count_tokens"
                | "embedContent"
                | "interactions"
                | "predict"
                | "cachedContents",
                ProviderDialect::Gemini,
            ) => Dialect::Gemini,
            ("chat(native)" | "generate(native)", ProviderDialect::Ollama) => Dialect::Ollama,
            (
                "completions" | "embeddings" | "files" | "images" | "audio" | "models" | "batches" | "rerank"
                | "openai.other" | "messages",
                ProviderDialect::Openai,
            ) => Dialect::OpenaiOther,
            (
                "converse" | "converse-stream" | "invoke" | "invoke-stream" | "chat(native)",
                ProviderDialect::Raw,
            ) => Dialect::Raw,
            _ => return None,
        })
    }

    fn view<'a>(&'a self, response: &'a [u8], response_complete: bool) -> ExchangeView<'a> {
        let provider_dialect = self.provider_dialect();
        ExchangeView {
            provider_dialect,
            dialect: detect(provider_dialect, &self.method, &self.path),
            method: &self.method,
            path: &self.path,
            request_headers: &self.request_headers,
            request_body: &self.request,
            status: Some(self.status),
            response_headers: &self.response_headers,
            response_body: response,
            response_complete,
        }
    }

    fn read(&self) -> Reading {
        read(&self.view(&self.response, true))
    }

    /// The answer's JSON values: the document, or the frames of the stream.
    fn values(&self) -> Vec<Value> {
        if let Ok(document) = serde_json::from_slice(&self.plain) {
            return match document {
                Value::Array(list) => list,
                document => vec![document],
            };
        }
        String::from_utf8_lossy(&self.plain)
            .replace("\r\n", "\n")
            .lines()
            .filter_map(|line| serde_json::from_str(line.strip_prefix("data:").unwrap_or(line).trim()).ok())
            .collect()
    }

    fn name(&self) -> String {
        format!("line {} {} {} {}", self.line + 1, self.provider, self.api, self.path)
    }
}

/// What a simple reader finds.
#[derive(Debug, Default, PartialEq)]
struct Found {
    model: Option<String>,
    finish: Option<String>,
    text: String,
    input: Option<u64>,
    output: Option<u64>,
}

/// All strings at `pointers` over all values, joined.
fn joined(values: &[Value], pointers: &[&str]) -> String {
    let mut text = String::new();
    for value in values {
        for pointer in pointers {
            text.push_str(value.pointer(pointer).and_then(Value::as_str).unwrap_or_default());
        }
    }
    text
}

/// The last value at `pointers` that is a text that is not empty.
fn last(values: &[Value], pointers: &[&str]) -> Option<String> {
    let all = values
        .iter()
        .flat_map(|value| pointers.iter().filter_map(|pointer| value.pointer(pointer)?.as_str()));
    all.filter(|text| !text.is_empty()).next_back().map(str::to_owned)
}

fn number(values: &[Value], pointer: &str) -> Option<u64> {
    values.iter().rev().find_map(|value| value.pointer(pointer)?.as_u64())
}

fn simple(recorded: &Recorded) -> Option<Found> {
    let values = recorded.values();
    let texts_of = |list: &Value, kind: &str| -> String {
        list.as_array()
            .into_iter()
            .flatten()
            .filter(|part| part["type"] == kind)
            .filter_map(|part| part["text"].as_str())
            .collect()
    };
    Some(match recorded.dialect()? {
        Dialect::OpenaiChat | Dialect::OpenaiOther if recorded.api.ends_with("completions") => {
            let mut text = joined(&values, &["/choices/0/message/content", "/choices/0/text"]);
            for value in
                values.iter().filter(|value| value.pointer("/choices/0/index").is_none_or(|index| index == 0))
            {
                text.push_str(
                    value.pointer("/choices/0/delta/content").and_then(Value::as_str).unwrap_or_default(),
                );
                for pointer in ["/choices/0/delta/content", "/choices/0/message/content"] {
                    text.push_str(&texts_of(value.pointer(pointer).unwrap_or(&Value::Null), "text"));
                }
            }
            let usage: Vec<Value> = values
                .iter()
                .flat_map(|value| [value.pointer("/usage"), value.pointer("/x_groq/usage")])
                .flatten()
                .filter(|usage| usage.is_object())
                .cloned()
                .collect();
            let mut output = number(&usage, "/completion_tokens");
            if recorded.provider == "xai"
                || last(&values, &["/model"]).is_some_and(|model| model.starts_with("grok"))
            {
                output = output.map(|out| {
                    out + number(&usage, "/completion_tokens_details/reasoning_tokens").unwrap_or(0)
                });
            }
            Found {
                model: last(&values, &["/model"]),
                finish: last(&values, &["/choices/0/finish_reason"]),
                text,
                input: number(&usage, "/prompt_tokens"),
                output,
            }
        }
        Dialect::OpenaiOther if recorded.api == "embeddings" => Found {
            model: last(&values, &["/model"]),
            input: number(&values, "/usage/prompt_tokens"),
            output: number(&values, "/usage/completion_tokens"),
            ..Found::default()
        },
        Dialect::OpenaiResponses => {
            let end = values.last()?;
            let response = end.get("response").unwrap_or(end);
            let output = response["output"].as_array().cloned().unwrap_or_default();
            let status =
                response["status"].as_str().filter(|status| *status != "in_progress").map(str::to_owned);
            Found {
                model: response["model"].as_str().map(str::to_owned),
                finish: response
                    .pointer("/incomplete_details/reason")
                    .and_then(Value::as_str)
                    .map(str::to_owned)
                    .or(status),
                text: output.iter().map(|item| texts_of(&item["content"], "output_text")).collect(),
                input: response.pointer("/usage/input_tokens").and_then(Value::as_u64),
                output: response.pointer("/usage/output_tokens").and_then(Value::as_u64),
            }
        }
        Dialect::Anthropic => {
            let input = |key: &str| {
                number(&values, &format!("/usage/{key}"))
                    .or_else(|| number(&values, &format!("/message/usage/{key}")))
            };
            let uncached = input("input_tokens").or_else(|| number(&values, "/input_tokens"));
            let cached = input("cache_read_input_tokens").unwrap_or(0)
                + input("cache_creation_input_tokens").unwrap_or(0);
            Found {
                model: last(&values, &["/model", "/message/model"]),
                finish: last(&values, &["/stop_reason", "/delta/stop_reason"]),
                text: values.iter().map(|value| texts_of(&value["content"], "text")).collect::<String>()
                    + &joined(&values, &["/delta/text", "/completion"]),
                input: uncached.map(|uncached| uncached + cached),
                output: input("output_tokens"),
            }
        }
        Dialect::Gemini if recorded.api.ends_with("enerateContent") => {
            let parts = values
                .iter()
                .flat_map(|value| value.pointer("/candidates/0/content/parts")?.as_array())
                .flatten();
            let usage =
                values.iter().rev().find_map(|value| value.get("usageMetadata")).cloned().unwrap_or_default();
            let sum = |one: &str, two: &str| match (usage[one].as_u64(), usage[two].as_u64()) {
                (None, None) => None,
                (one, two) => Some(one.unwrap_or(0) + two.unwrap_or(0)),
            };
            let finish = values.iter().rev().find_map(|value| value.pointer("/candidates/0/finishReason"));
            let blocked =
                values.iter().rev().find_map(|value| value.pointer("/promptFeedback/blockReason")?.as_str());
            let input = sum("promptTokenCount", "toolUsePromptTokenCount");
            Found {
                model: last(&values, &["/modelVersion"]),
                finish: match finish {
                    Some(Value::Number(number)) => Some(
                        ["", "STOP", "MAX_TOKENS"][usize::try_from(number.as_u64()?).unwrap()].to_owned(),
                    ),
                    Some(reason) => reason.as_str().map(str::to_owned),
                    None => blocked.map(str::to_owned),
                },
                text: parts
                    .filter(|part| part["thought"] != true)
                    .filter_map(|part| part["text"].as_str())
                    .collect(),
                input,
                output: sum("candidatesTokenCount", "thoughtsTokenCount")
                    .or_else(|| Some(usage["totalTokenCount"].as_u64()? - input?)),
            }
        }
        Dialect::Ollama => Found {
            model: last(&values, &["/model"]),
            finish: last(&values, &["/done_reason"]),
            text: joined(&values, &["/message/content", "/response"]),
            input: number(&values, "/prompt_eval_count"),
            output: number(&values, "/eval_count"),
        },
        _ => return None,
    })
}

/// The same of a reading.
fn found(reading: &Reading) -> Found {
    let parts = reading.answer.choices.first().map(|choice| choice.parts.as_slice()).unwrap_or_default();
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.text.as_str()),
        _ => None,
    });
    Found {
        model: reading.model_served.clone(),
        finish: reading.finish_reason().map(str::to_owned),
        text: texts.collect(),
        input: reading.usage.and_then(|usage| usage.input_tokens),
        output: reading.usage.and_then(|usage| usage.output_tokens),
    }
}

#[test]
fn recorded_answers_are_read_as_a_simple_reader_reads_them() {
    let mut checked = 0;
    let mut wrong = String::new();
    for recorded in recorded() {
        let reading = recorded.read();
        if let Some(dialect) = recorded.dialect() {
            assert_eq!(reading.dialect, dialect, "{}", recorded.name());
        }
        if recorded.status >= 400 {
            let error = reading.error.as_ref().unwrap_or_else(|| panic!("no error: {}", recorded.name()));
            assert!(!error.message.is_empty() && error.message.len() < 2000, "{}", recorded.name());
            assert!(!reading.ended_well, "{}", recorded.name());
            checked += 1;
            continue;
        }
        let Some(expected) = simple(&recorded) else { continue };
        checked += 1;
        let found = found(&reading);
        if found != expected {
            writeln!(wrong, "{}\n  found    {found:?}\n  expected {expected:?}", recorded.name()).unwrap();
        }
        if reading.error.is_none() && !reading.ended_well {
            writeln!(wrong, "{} did not end well: {:?}", recorded.name(), reading.notes).unwrap();
        }
        if let Some(usage) = reading.usage {
            assert_eq!(usage.provenance, Some(Provenance::Provider), "{}", recorded.name());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    println!("checked {checked} exchanges");
}

#[test]
fn recorded_requests_are_read() {
    for recorded in recorded() {
        let Ok(Value::Object(request)) = serde_json::from_slice(&recorded.request) else { continue };
        let reading = recorded.read();
        let name = recorded.name();
        if let Some(model) = request.get("model").and_then(Value::as_str) {
            assert_eq!(reading.model_asked.as_deref(), Some(model.trim_start_matches("models/")), "{name}");
        }
        if let Some(tools) =
            request.get("tools").and_then(Value::as_array).filter(|_| reading.dialect != Dialect::Gemini)
        {
            assert_eq!(reading.tools.len(), tools.len(), "{name}");
        }
        if let Some(messages) = request.get("messages").and_then(Value::as_array) {
            let apart = usize::from(["system", "preamble"].iter().any(|key| {
                request.get(*key).is_some_and(|system| !system.is_null())
                    && recorded.api != "chat.completions"
            }));
            assert_eq!(reading.messages.len(), messages.len() + apart, "{name}");
            assert!(!text::asked_preview(&reading).is_empty() || messages.is_empty(), "{name}");
        }
        let preview = text::asked_preview(&reading);
        assert!(preview.chars().count() <= text::PREVIEW_CHARS && !preview.contains('\n'), "{name}");
    }
}

#[test]
fn a_recording_cut_anywhere_is_read_without_panic_and_without_false_usage() {
    for recorded in recorded() {
        let whole = recorded.read();
        let step = (recorded.response.len() / 40).max(1);
        for end in (0..recorded.response.len()).step_by(step) {
            let cut = read(&recorded.view(&recorded.response[..end], false));
            let name = format!("{} cut at {end}", recorded.name());
            if let (Some(cut), Some(whole)) = (cut.usage, whole.usage) {
                assert!(
                    cut.output_tokens.is_none() || cut.output_tokens == whole.output_tokens,
                    "{name}: {cut:?} {whole:?}"
                );
            }
            let _ = text::search_texts(&cut);
        }
        let _ = estimate::usage(&whole);
    }
}

#[test]
fn streams_tell_where_their_first_token_is() {
    for recorded in recorded() {
        let reading = recorded.read();
        let has_text = !text::answered(&reading).is_empty();
        if reading.streamed && has_text && reading.dialect != Dialect::Raw {
            let offset =
                reading.first_token_offset.unwrap_or_else(|| panic!("no first token: {}", recorded.name()));
            assert!(offset < recorded.response.len() as u64, "{}", recorded.name());
        } else if !reading.streamed {
            assert_eq!(reading.first_token_offset, None, "{}", recorded.name());
        }
    }
}

#[test]
fn every_reading_serialises() {
    for recorded in recorded() {
        let reading = recorded.read();
        assert!(serde_json::to_string(&reading).is_ok(), "{}", recorded.name());
    }
}
