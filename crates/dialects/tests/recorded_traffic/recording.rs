//! The recordings.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use verbatim_core::model::{Dialect, Headers, ProviderDialect};
use verbatim_dialects::{ExchangeView, Reading, detect, read};

/// One recorded exchange.
pub(crate) struct Recorded {
    pub(crate) line: usize,
    pub(crate) provider: String,
    pub(crate) api: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) request_headers: Headers,
    pub(crate) request: Vec<u8>,
    pub(crate) response_headers: Headers,
    pub(crate) response: Vec<u8>,
    /// The response without its compression.
    pub(crate) plain: Vec<u8>,
}

#[expect(clippy::disallowed_methods, reason = "where recordings are is the test environment's to say")]
pub(crate) fn recorded() -> Vec<Recorded> {
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

    pub(crate) fn provider_dialect(&self) -> ProviderDialect {
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
    pub(crate) fn dialect(&self) -> Option<Dialect> {
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

    pub(crate) fn view<'a>(&'a self, response: &'a [u8], response_complete: bool) -> ExchangeView<'a> {
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

    pub(crate) fn read(&self) -> Reading {
        read(&self.view(&self.response, true))
    }

    /// The answer's JSON values: the document, or the frames of the stream.
    pub(crate) fn values(&self) -> Vec<Value> {
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

    pub(crate) fn name(&self) -> String {
        format!("line {} {} {} {}", self.line + 1, self.provider, self.api, self.path)
    }
}
