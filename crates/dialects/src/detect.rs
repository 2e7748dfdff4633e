//! Which wire language a call speaks, told from its provider and its path.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use verbatim_core::model::{Dialect, ProviderDialect};

/// The dialect of a call to `path` (as the client asked for it: with or without query, version prefix, provider's
/// name, session, doubled slashes) of a provider that speaks `provider`.
///
/// What the path's end says plainly (`/chat/completions`, `/messages`, `:generateContent`) counts whoever the
/// provider is, since most providers also speak others' languages; what is ambiguous (`/models`, `/files`) is told
/// by the provider.
pub fn detect(provider: ProviderDialect, method: &str, path: &str) -> Dialect {
    let segments = segments(path);
    let names: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    if method.eq_ignore_ascii_case("OPTIONS") {
        return Dialect::Raw;
    }
    plain(&names).unwrap_or_else(|| ambiguous(provider, &names))
}

/// The path's segments, decoded, without query and empty ones.
pub(crate) fn segments(path: &str) -> Vec<Cow<'_, str>> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy())
        .collect()
}

/// Paths that only one language has.
fn plain(names: &[&str]) -> Option<Dialect> {
    if names.windows(2).any(|pair| pair == ["chat", "completions"]) {
        return Some(Dialect::OpenaiChat);
    }
    if let Some((model, verb)) = names.last().and_then(|last| last.rsplit_once(':')) {
        return match verb {
            "rawPredict" | "streamRawPredict" => {
                Some(if model.starts_with("claude") { Dialect::Anthropic } else { Dialect::Raw })
            }
            _ if GEMINI_VERBS.contains(&verb) => Some(Dialect::Gemini),
            _ => None,
        };
    }
    if names.windows(3).any(|three| matches!(three, ["threads" | "assistants", _, "messages" | "runs"])) {
        return Some(Dialect::OpenaiOther);
    }
    if names.windows(2).any(|pair| pair == ["messages", "batches"]) {
        return Some(Dialect::Anthropic);
    }
    match names {
        [.., "messages"] | [.., "messages", "count_tokens"] => Some(Dialect::Anthropic),
        [.., "uploads", _, "complete"] => Some(Dialect::OpenaiOther),
        [.., "complete"] => Some(Dialect::Anthropic),
        [.., "responses"] | [.., "responses", _] => Some(Dialect::OpenaiResponses),
        [.., "responses", _, "cancel" | "input_items" | "compact"] => Some(Dialect::OpenaiResponses),
        [.., "interactions"] | [.., "interactions", _] => Some(Dialect::Gemini),
        [.., "api", last] if OLLAMA_ONLY.contains(last) => Some(Dialect::Ollama),
        _ => None,
    }
}

/// Paths that several languages share.
fn ambiguous(provider: ProviderDialect, names: &[&str]) -> Dialect {
    let has = |known: &[&str]| names.iter().any(|name| known.contains(name));
    match provider {
        ProviderDialect::Anthropic if has(ANTHROPIC_ROOTS) => Dialect::Anthropic,
        ProviderDialect::Gemini if names.contains(&"openai") && has(OPENAI_ROOTS) => Dialect::OpenaiOther,
        ProviderDialect::Gemini if has(GEMINI_ROOTS) => Dialect::Gemini,
        ProviderDialect::Ollama if names.contains(&"api") => Dialect::Ollama,
        ProviderDialect::Openai | ProviderDialect::Ollama if has(OPENAI_ROOTS) => Dialect::OpenaiOther,
        ProviderDialect::Raw if has(OPENAI_PLAIN) => Dialect::OpenaiOther,
        ProviderDialect::Raw
        | ProviderDialect::Openai
        | ProviderDialect::Anthropic
        | ProviderDialect::Gemini
        | ProviderDialect::Ollama => Dialect::Raw,
    }
}

const GEMINI_VERBS: &[&str] = &[
    "generateContent",
    "streamGenerateContent",
    "countTokens",
    "computeTokens",
    "embedContent",
    "asyncBatchEmbedContent",
    "batchEmbedContents",
    "batchGenerateContent",
    "generateAnswer",
    "generateMessage",
    "generateText",
    "bidiGenerateContent",
    "predict",
    "predictLongRunning",
    "fetchPredictOperation",
];

const GEMINI_ROOTS: &[&str] = &[
    "models",
    "tunedModels",
    "cachedContents",
    "files",
    "operations",
    "batches",
    "corpora",
    "fileSearchStores",
    "publishers",
];

const ANTHROPIC_ROOTS: &[&str] = &["messages", "models", "files", "skills", "organizations", "complete"];

const OLLAMA_ONLY: &[&str] = &["chat", "generate", "tags", "embed", "show", "ps", "pull"];

/// What is OpenAI's own below its version prefix, or is spoken in its manner by others (`rerank`, `score`).
const OPENAI_ROOTS: &[&str] = &[
    "completions",
    "embeddings",
    "images",
    "audio",
    "moderations",
    "models",
    "files",
    "uploads",
    "batches",
    "fine_tuning",
    "fine-tunes",
    "assistants",
    "threads",
    "vector_stores",
    "realtime",
    "rerank",
    "score",
    "edits",
    "engines",
    "evals",
    "conversations",
    "containers",
    "videos",
    "responses",
    "organization",
    "traces",
];

/// Those that say plainly enough that they are OpenAI's when nothing is known of the provider.
const OPENAI_PLAIN: &[&str] = &["completions", "embeddings", "moderations", "realtime", "images", "audio"];

#[cfg(test)]
mod tests {
    use super::*;

    fn at(provider: ProviderDialect, path: &str) -> Dialect {
        detect(provider, "POST", path)
    }

    #[test]
    fn an_ending_that_is_plain_counts_whoever_the_provider_is() {
        for &provider in ProviderDialect::ALL {
            for (path, dialect) in [
                ("/v1/chat/completions", Dialect::OpenaiChat),
                ("/chat/completions", Dialect::OpenaiChat),
                ("/~mysession/openrouter/v1/chat/completions", Dialect::OpenaiChat),
                ("//openai/deployments/my-gpt/chat/completions?api-version=2024-02-01", Dialect::OpenaiChat),
                ("/openai/deployments/responses/chat/completions", Dialect::OpenaiChat),
                ("/api/v2/cortex/v1/chat/completions", Dialect::OpenaiChat),
                ("/v1beta/openai/chat/completions", Dialect::OpenaiChat),
                ("/api/paas/v4/chat/completions/", Dialect::OpenaiChat),
                ("/v1/responses", Dialect::OpenaiResponses),
                ("/v1/responses/resp_123", Dialect::OpenaiResponses),
                ("/v1/responses/resp_123/input_items?limit=2", Dialect::OpenaiResponses),
                ("/v1/messages?beta=true", Dialect::Anthropic),
                ("/anthropic/v1/messages/count_tokens", Dialect::Anthropic),
                ("/v1/threads/thread_1/messages", Dialect::OpenaiOther),
                ("/v1/threads/thread_1/runs/run_1/steps", Dialect::OpenaiOther),
                ("/v1beta/models/gemini-2.5-flash:generateContent", Dialect::Gemini),
                ("/v1beta/models/gemini-2.5-flash%3AstreamGenerateContent?alt=sse", Dialect::Gemini),
                (
                    "/v1/projects/p/locations/l/publishers/google/models/gemini:countTokens?%24alt=json",
                    Dialect::Gemini,
                ),
                (
                    "/v1/projects/p/locations/l/publishers/anthropic/models/claude-4@1:streamRawPredict",
                    Dialect::Anthropic,
                ),
                ("/api/generate", Dialect::Ollama),
                ("/api/embed", Dialect::Ollama),
                ("/api/chat", Dialect::Ollama),
                ("/v1/uploads/upload_1/complete", Dialect::OpenaiOther),
            ] {
                assert_eq!(at(provider, path), dialect, "{provider} {path}");
            }
        }
    }

    #[test]
    fn an_ambiguous_path_is_told_by_the_provider() {
        for (provider, path, dialect) in [
            (ProviderDialect::Openai, "/v1/models", Dialect::OpenaiOther),
            (ProviderDialect::Anthropic, "/v1/models", Dialect::Anthropic),
            (ProviderDialect::Gemini, "/v1beta/models?pageSize=3", Dialect::Gemini),
            (ProviderDialect::Gemini, "/v1beta/openai/models", Dialect::OpenaiOther),
            (ProviderDialect::Gemini, "/v1beta1/projects/p/locations/l/cachedContents/8", Dialect::Gemini),
            (ProviderDialect::Ollama, "/api/delete", Dialect::Ollama),
            (ProviderDialect::Openai, "/api/embeddings", Dialect::OpenaiOther),
            (ProviderDialect::Ollama, "/api/version", Dialect::Ollama),
            (ProviderDialect::Ollama, "/v1/embeddings", Dialect::OpenaiOther),
            (ProviderDialect::Openai, "/openai/deployments/d/embeddings?api-version=1", Dialect::OpenaiOther),
            (ProviderDialect::Openai, "/v1/realtime?model=gpt-realtime", Dialect::OpenaiOther),
            (ProviderDialect::Openai, "/v1/files/file-1/content", Dialect::OpenaiOther),
            (ProviderDialect::Openai, "/v1/completions", Dialect::OpenaiOther),
        ] {
            assert_eq!(at(provider, path), dialect, "{provider} {path}");
        }
    }

    #[test]
    fn what_nobody_knows_is_raw() {
        for &provider in ProviderDialect::ALL {
            for path in
                ["/", "", "/v2/chat", "/model/us.amazon.nova-pro-v1%3A0/converse", "/ml/v1/text", "?", "/%ff"]
            {
                assert_eq!(at(provider, path), Dialect::Raw, "{provider} {path}");
            }
        }
        assert_eq!(detect(ProviderDialect::Openai, "OPTIONS", "/v1/chat/completions"), Dialect::Raw);
    }
}
