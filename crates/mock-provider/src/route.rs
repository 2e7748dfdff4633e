//! Which endpoint a path means. Endpoints are known by their last segments, so that any prefix a caller or a
//! relay puts before them (`/v1`, `/api/v1`, `/openai/deployments/x`) does no harm.

use http::{HeaderMap, Method, request};

/// The shape that answers and errors have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAi,
    Anthropic,
    Gemini,
    Ollama,
}

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    ChatCompletions,
    Completions,
    Responses,
    Embeddings,
    Moderations,
    Images,
    Speech,
    Transcriptions,
    Realtime,
    /// All models, or the one of this name.
    Models(Dialect, Option<String>),
    /// All files, or the one with this id; its content where the flag is set.
    Files(Dialect, Option<String>, bool),
    Messages,
    CountTokens,
    /// `models/{model}:{method}`.
    Gemini {
        model: String,
        method: String,
    },
    OllamaChat,
    OllamaGenerate,
    OllamaTags,
    OllamaVersion,
    OllamaEmbed,
    /// Pseudo-random bytes: so many as the path says, if it does.
    Raw(Option<u64>),
    Echo,
    /// The ledger, over HTTP.
    Ledger,
    /// The ledger's sums, over HTTP.
    Totals,
    WrongMethod(Dialect),
    Unknown(Dialect),
}

impl Route {
    pub(crate) fn of(head: &request::Parts) -> Self {
        let path = head.uri.path();
        // The one that benchmarks and most callers use needs no list of segments.
        if path.ends_with("/chat/completions") && head.method == Method::POST {
            return Self::ChatCompletions;
        }
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let dialect = dialect_of(&segments, &head.headers);
        let route = Self::at(&segments, dialect);
        if route.allows(&head.method) { route } else { Self::WrongMethod(dialect) }
    }

    fn at(segments: &[&str], dialect: Dialect) -> Self {
        let collection = |name| segments.iter().rposition(|segment| *segment == name);
        match segments {
            ["echo"] => Self::Echo,
            ["raw"] => Self::Raw(None),
            ["raw", length, ..] => Self::Raw(length.parse().ok()),
            ["__mock", "ledger"] => Self::Ledger,
            ["__mock", "totals"] => Self::Totals,
            [.., "chat", "completions"] => Self::ChatCompletions,
            [.., "api", "chat"] => Self::OllamaChat,
            [.., "api", "generate"] => Self::OllamaGenerate,
            [.., "api", "tags"] => Self::OllamaTags,
            [.., "api", "version"] => Self::OllamaVersion,
            [.., "api", "embed" | "embeddings"] => Self::OllamaEmbed,
            [.., "completions"] => Self::Completions,
            [.., "responses"] => Self::Responses,
            [.., "embeddings"] => Self::Embeddings,
            [.., "moderations"] => Self::Moderations,
            [.., "images", "generations"] => Self::Images,
            [.., "audio", "speech"] => Self::Speech,
            [.., "audio", "transcriptions" | "translations"] => Self::Transcriptions,
            [.., "realtime"] => Self::Realtime,
            [.., "messages"] => Self::Messages,
            [.., "messages", "count_tokens"] => Self::CountTokens,
            [.., "files"] => Self::Files(dialect, None, false),
            [.., "files", id, "content"] => Self::Files(dialect, Some((*id).to_owned()), true),
            [.., "files", id] => Self::Files(dialect, Some((*id).to_owned()), false),
            _ => match collection("models").map(|at| segments[at + 1..].join("/")) {
                Some(name) if name.is_empty() => Self::Models(dialect, None),
                Some(name) => match name.replace("%3A", ":").rsplit_once(':') {
                    // Ollama's models have colons in their names, but then they are not called like this.
                    Some((model, method)) if dialect == Dialect::Gemini || method.contains("enerate") => {
                        Self::Gemini { model: model.to_owned(), method: method.to_owned() }
                    }
                    _ => Self::Models(dialect, Some(name)),
                },
                None => Self::Unknown(dialect),
            },
        }
    }

    fn allows(&self, method: &Method) -> bool {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        match self {
            Self::Models(..)
            | Self::OllamaTags
            | Self::OllamaVersion
            | Self::Realtime
            | Self::Ledger
            | Self::Totals => reads,
            Self::Files(_, None, _) => reads || *method == Method::POST,
            Self::Files(_, Some(_), _) => reads || *method == Method::DELETE,
            Self::Raw(_) | Self::Echo | Self::WrongMethod(_) | Self::Unknown(_) => true,
            _ => *method == Method::POST,
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Messages | Self::CountTokens => Dialect::Anthropic,
            Self::Gemini { .. } => Dialect::Gemini,
            Self::OllamaChat
            | Self::OllamaGenerate
            | Self::OllamaTags
            | Self::OllamaVersion
            | Self::OllamaEmbed => Dialect::Ollama,
            Self::Models(dialect, _)
            | Self::Files(dialect, ..)
            | Self::WrongMethod(dialect)
            | Self::Unknown(dialect) => *dialect,
            _ => Dialect::OpenAi,
        }
    }
}

fn dialect_of(segments: &[&str], headers: &HeaderMap) -> Dialect {
    if headers.contains_key("anthropic-version") || segments.contains(&"messages") {
        Dialect::Anthropic
    } else if segments.contains(&"v1beta") || headers.contains_key("x-goog-api-key") {
        Dialect::Gemini
    } else if matches!(segments, ["api", end] | ["api", end, ..] if *end != "v1") {
        Dialect::Ollama
    } else {
        Dialect::OpenAi
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(method: &str, path: &str, header: &str) -> Route {
        let mut request = http::Request::builder().method(method).uri(path);
        if !header.is_empty() {
            request = request.header(header, "1");
        }
        Route::of(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn endpoints_are_known_below_any_prefix() {
        for prefix in ["", "/v1", "/api/v1", "/openai/deployments/gpt-4o"] {
            assert_eq!(route("POST", &format!("{prefix}/chat/completions"), ""), Route::ChatCompletions);
            assert_eq!(route("POST", &format!("{prefix}/embeddings"), ""), Route::Embeddings);
            assert_eq!(route("GET", &format!("{prefix}/models"), ""), Route::Models(Dialect::OpenAi, None));
        }
        assert_eq!(route("POST", "/api/chat", ""), Route::OllamaChat);
        assert_eq!(route("GET", "/v1/nothing", ""), Route::Unknown(Dialect::OpenAi));
        assert_eq!(route("GET", "/v1/messages", ""), Route::WrongMethod(Dialect::Anthropic));
    }

    #[test]
    fn models_and_files_belong_to_the_dialect_that_is_spoken() {
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(route("GET", "/v1/models/a/b", ""), Route::Models(Dialect::OpenAi, some("a/b")));
        assert_eq!(
            route("GET", "/v1/models/x", "anthropic-version"),
            Route::Models(Dialect::Anthropic, some("x"))
        );
        assert_eq!(route("GET", "/v1beta/models/x", ""), Route::Models(Dialect::Gemini, some("x")));
        let generate = Route::Gemini { model: "x".to_owned(), method: "generateContent".to_owned() };
        assert_eq!(route("POST", "/v1beta/models/x:generateContent", ""), generate);
        assert_eq!(route("POST", "/v1beta/models/x%3AgenerateContent?alt=sse", ""), generate);
        assert_eq!(route("POST", "/models/x:generateContent", ""), generate);
        assert_eq!(route("DELETE", "/v1/files/f", ""), Route::Files(Dialect::OpenAi, some("f"), false));
    }
}
