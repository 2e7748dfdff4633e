//! What the search index holds of an exchange.

use super::{Exchange, ExchangeId};

/// The text of one exchange as it is to be found: only the new turn, each field at most 64 KB of UTF-8.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchDocument {
    /// The columns that filters look at.
    pub exchange: Exchange,
    /// Last user message, tool results, or the input of an embedding.
    pub asked: String,
    /// The answer's text and refusals.
    pub answered: String,
    /// Reasoning.
    pub reasoning: String,
    /// Calls of tools: names and arguments.
    pub tools: String,
    /// The first 4 KB of the system prompt.
    pub system: String,
    /// Errors.
    pub error: String,
}

impl SearchDocument {
    /// The largest size of a text field in bytes.
    pub const FIELD_LIMIT: usize = 64 * 1024;
    /// The largest size of the system prompt in bytes.
    pub const SYSTEM_LIMIT: usize = 4 * 1024;

    /// The id of its exchange.
    pub fn id(&self) -> ExchangeId {
        self.exchange.id
    }

    /// Its text fields with the names that highlights carry.
    pub fn fields(&self) -> [(&'static str, &str); 6] {
        [
            ("asked", &self.asked),
            ("answered", &self.answered),
            ("reasoning", &self.reasoning),
            ("tools", &self.tools),
            ("system", &self.system),
            ("error", &self.error),
        ]
    }
}
