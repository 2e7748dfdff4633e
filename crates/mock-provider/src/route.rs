//! Which endpoint a path means. Endpoints are known by their last segments, so that any prefix a caller or a
//! relay puts before them (`/v1`, `/api/v1`, `/openai/deployments/x`) does no harm.

use http::request;

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
    Echo,
    Unknown(Dialect),
}

impl Route {
    pub(crate) fn of(head: &request::Parts) -> Self {
        let path = head.uri.path();
        if path.ends_with("/chat/completions") {
            return Self::ChatCompletions;
        }
        if path == "/echo" {
            return Self::Echo;
        }
        Self::Unknown(Dialect::OpenAi)
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::ChatCompletions | Self::Echo => Dialect::OpenAi,
            Self::Unknown(dialect) => *dialect,
        }
    }
}
