//! Anthropic's usage. Its input leaves out what was read from and written to the cache; all input is the sum.

use serde::Serialize;
use verbatim_core::model::Usage;

use crate::counting::known;
use crate::json::{Object, ObjectExt};

/// Figures as they were told last, each for itself: a stream repeats them cumulatively and may correct them.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Told {
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    output: Option<u64>,
    reasoning: Option<u64>,
}

impl Told {
    /// Takes over what is told; what is not stays.
    pub(crate) fn update(&mut self, usage: &Object) {
        let set = |into: &mut Option<u64>, key: &str| *into = usage.count(key).or(*into);
        set(&mut self.input, "input_tokens");
        set(&mut self.cache_read, "cache_read_input_tokens");
        set(&mut self.cache_write, "cache_creation_input_tokens");
        set(&mut self.output, "output_tokens");
        let details = usage.object("output_tokens_details");
        self.reasoning = details
            .and_then(|details| {
                details.count("thinking_tokens").or_else(|| details.count("reasoning_tokens"))
            })
            .or(self.reasoning);
    }

    pub(crate) fn usage(self) -> Option<Usage> {
        let input = [self.input, self.cache_read, self.cache_write]
            .into_iter()
            .flatten()
            .reduce(u64::saturating_add)
            // Without the uncached part the sum is not known.
            .filter(|_| self.input.is_some());
        known(Usage {
            input_tokens: input,
            output_tokens: self.output,
            cache_read_tokens: self.cache_read,
            cache_write_tokens: self.cache_write,
            reasoning_tokens: self.reasoning,
            ..Usage::default()
        })
    }
}

/// Usage that was told once.
pub(crate) fn told(usage: &Object) -> Option<Usage> {
    let mut told = Told::default();
    told.update(usage);
    told.usage()
}
