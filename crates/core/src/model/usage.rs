//! Tokens.

use serde::{Deserialize, Serialize};

use super::outcome::UnknownWord;
use super::outcome::words;
use std::fmt;
use std::str::FromStr;

words! {
    /// Where a figure comes from.
    Provenance("provenance") {
        /// The provider said so.
        Provider = 0 "provider",
        /// Verbatim estimated it.
        Estimated = 1 "estimated",
    }
}

/// Tokens of one exchange. A figure that is not known is `None`, never zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// All input, cached and cache-writing input included.
    pub input_tokens: Option<u64>,
    /// All output, reasoning included.
    pub output_tokens: Option<u64>,
    /// As the provider totals it; where it does not, input plus output.
    pub total_tokens: Option<u64>,
    /// Of the input, what was read from the provider's cache.
    pub cache_read_tokens: Option<u64>,
    /// Of the input, what was written to the provider's cache.
    pub cache_write_tokens: Option<u64>,
    /// Of the output, reasoning.
    pub reasoning_tokens: Option<u64>,
    /// Whether the provider counted or Verbatim estimated. `None` where nothing is known.
    pub provenance: Option<Provenance>,
    /// The cost the provider itself stated, in millionths of a US dollar (OpenRouter, xAI and others do).
    pub stated_cost_micros: Option<u64>,
}

impl Usage {
    /// Input plus output, or what the provider totalled.
    pub fn total(&self) -> Option<u64> {
        self.total_tokens.or_else(|| Some(self.input_tokens?.saturating_add(self.output_tokens?)))
    }
}
