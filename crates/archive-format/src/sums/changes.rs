//! What a batch of records changes in the sums.

use std::collections::BTreeMap;

use verbatim_core::model::{Exchange, Outcome, Provenance, Timestamp, Totals};

use super::{MINUTE, floor};
use crate::text::clean;

/// What is summed apart from each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Where the stretch begins, in seconds since the Unix epoch.
    pub start: i64,
    /// The provider's name.
    pub provider: String,
    /// The model that answered, or was asked for; empty where none is known.
    pub model: String,
    /// How the exchanges ended.
    pub outcome: Outcome,
}

impl Key {
    /// The same in stretches of `span` seconds.
    pub fn at(&self, span: i64) -> Self {
        Self { start: floor(self.start, span), ..self.clone() }
    }
}

/// What is counted, and what is no longer counted.
#[derive(Debug, Default)]
pub struct Change {
    /// Of new records.
    pub add: Totals,
    /// Of those that they replace.
    pub subtract: Totals,
}

impl Change {
    /// Both of another change, too.
    pub fn merge(&mut self, other: &Self) {
        self.add.merge(&other.add);
        self.subtract.merge(&other.subtract);
    }

    /// Changes a sum; never below zero.
    pub fn apply(&self, totals: &mut Totals) {
        totals.merge(&self.add);
        subtract(totals, &self.subtract);
    }
}

/// What a transaction changes in the sums.
#[derive(Debug, Default)]
pub struct Changes {
    /// By the minute.
    pub minutes: BTreeMap<Key, Change>,
}

impl Changes {
    /// Counts an exchange that ended.
    pub fn add(&mut self, counted: &Counted) {
        if let Some(change) = self.change(counted) {
            counted.count(&mut change.add);
        }
    }

    /// Takes back what an exchange was counted as.
    pub fn subtract(&mut self, counted: &Counted) {
        if let Some(change) = self.change(counted) {
            counted.count(&mut change.subtract);
        }
    }

    fn change(&mut self, counted: &Counted) -> Option<&mut Change> {
        if counted.outcome == Outcome::Running {
            return None;
        }
        let key = Key {
            start: floor(counted.began_at.as_unix_us().div_euclid(1_000_000), MINUTE),
            provider: clean(&counted.provider).into_owned(),
            model: clean(&counted.model).into_owned(),
            outcome: counted.outcome,
        };
        Some(self.minutes.entry(key).or_default())
    }

    /// The same in stretches of `span` seconds.
    pub fn over(&self, span: i64) -> BTreeMap<Key, Change> {
        let mut changes: BTreeMap<Key, Change> = BTreeMap::new();
        for (key, change) in &self.minutes {
            changes.entry(key.at(span)).or_default().merge(change);
        }
        changes
    }
}

/// What is counted of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// When it began.
    pub began_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// The provider's name.
    pub provider: String,
    /// The model that answered, or was asked for; empty where none is known.
    pub model: String,
    /// Microseconds that it took.
    pub duration_us: Option<u64>,
    /// Microseconds to the first token.
    pub first_token_us: Option<u64>,
    /// All input, in tokens.
    pub input_tokens: Option<u64>,
    /// All output, in tokens.
    pub output_tokens: Option<u64>,
    /// Of the input, read from cache.
    pub cache_read_tokens: Option<u64>,
    /// Cost in millionths of a US dollar.
    pub cost_micros: Option<u64>,
    /// Whether its tokens are estimated.
    pub estimated: bool,
    /// Bytes captured but lost.
    pub lost_bytes: u64,
}

impl From<&Exchange> for Counted {
    fn from(exchange: &Exchange) -> Self {
        let usage = &exchange.usage;
        Self {
            began_at: exchange.began_at,
            outcome: exchange.outcome,
            provider: exchange.provider.clone(),
            model: exchange.model().unwrap_or_default().to_owned(),
            duration_us: exchange.duration_us,
            first_token_us: exchange.first_token_us,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cache_read_tokens: usage.cache_read_tokens,
            cost_micros: exchange.cost_micros,
            estimated: usage.provenance == Some(Provenance::Estimated),
            lost_bytes: exchange.lost_bytes,
        }
    }
}

impl Counted {
    fn count(&self, totals: &mut Totals) {
        let add = |sum: &mut u64, figure: Option<u64>| *sum = sum.saturating_add(figure.unwrap_or(0));
        totals.calls += 1;
        totals.completed += u64::from(self.outcome == Outcome::Completed);
        add(&mut totals.input_tokens, self.input_tokens);
        add(&mut totals.output_tokens, self.output_tokens);
        add(&mut totals.cache_read_tokens, self.cache_read_tokens);
        add(&mut totals.cost_micros, self.cost_micros);
        totals.estimated += u64::from(self.estimated);
        add(&mut totals.lost_bytes, Some(self.lost_bytes));
        add(&mut totals.duration_us, self.duration_us);
        self.duration_us.into_iter().for_each(|us| totals.durations.record(us));
        self.first_token_us.into_iter().for_each(|us| totals.first_tokens.record(us));
    }
}

/// `totals` less what `taken` counted; never below zero.
pub fn subtract(totals: &mut Totals, taken: &Totals) {
    let minus = |mine: &mut u64, theirs: u64| *mine = mine.saturating_sub(theirs);
    minus(&mut totals.calls, taken.calls);
    minus(&mut totals.completed, taken.completed);
    minus(&mut totals.duration_us, taken.duration_us);
    minus(&mut totals.input_tokens, taken.input_tokens);
    minus(&mut totals.output_tokens, taken.output_tokens);
    minus(&mut totals.cache_read_tokens, taken.cache_read_tokens);
    minus(&mut totals.cost_micros, taken.cost_micros);
    minus(&mut totals.estimated, taken.estimated);
    minus(&mut totals.lost_bytes, taken.lost_bytes);
    totals.durations.subtract(&taken.durations);
    totals.first_tokens.subtract(&taken.first_tokens);
}
