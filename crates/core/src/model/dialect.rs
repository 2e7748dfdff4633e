//! Wire languages.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::outcome::{UnknownWord, words};

words! {
    /// The wire language of an exchange.
    Dialect("dialect") {
        /// Anything else: recorded, not parsed.
        Raw = 0 "raw",
        /// OpenAI chat completions.
        OpenaiChat = 1 "openai-chat",
        /// OpenAI responses.
        OpenaiResponses = 2 "openai-responses",
        /// The rest of OpenAI's API: completions, embeddings, images, audio, files, moderations, models, realtime.
        OpenaiOther = 3 "openai-other",
        /// Anthropic.
        Anthropic = 4 "anthropic",
        /// Gemini and Vertex.
        Gemini = 5 "gemini",
        /// Ollama's own API.
        Ollama = 6 "ollama",
    }
}

words! {
    /// The wire language that a provider speaks: which dialects its paths may be, and the shape of its errors.
    ProviderDialect("provider dialect") {
        /// None that is known.
        Raw = 0 "raw",
        /// OpenAI's, also as spoken by others.
        Openai = 1 "openai",
        /// Anthropic's.
        Anthropic = 2 "anthropic",
        /// Gemini's.
        Gemini = 3 "gemini",
        /// Ollama's.
        Ollama = 4 "ollama",
    }
}
