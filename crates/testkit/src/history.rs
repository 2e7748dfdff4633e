//! What a team's archive holds after a month: records as calls leave them, skewed as calls are.

use std::time::Duration;

use verbatim_core::model::{
    Dialect, Exchange, ExchangeId, ExchangeRecord, Outcome, ProviderDialect, Timestamp,
};
use verbatim_core::ports::Commit;

use crate::traffic::{Words, call};

/// So many days before `now` are filled.
pub const DAYS: u64 = 30;
/// One record in so many keeps its bodies: those take most of the time that filling takes, and no list reads them.
const WITH_BODIES: u32 = 10;
/// One in so many calls a model, has a tag, or took a path that nothing else has.
const RARE: u32 = 50_000;

/// Provider, model and path, the most frequent first.
const MODELS: [(&str, &str, &str); 8] = [
    ("openai", "gpt-4o-mini", "/v1/chat/completions"),
    ("openai", "gpt-4o", "/v1/chat/completions"),
    ("anthropic", "claude-sonnet-4-5", "/v1/messages"),
    ("openai", "text-embedding-3-small", "/v1/embeddings"),
    ("google", "gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash:generateContent"),
    ("anthropic", "claude-haiku-4-5", "/v1/messages"),
    ("openai", "o3", "/v1/responses"),
    ("local", "qwen3-32b", "/v1/chat/completions"),
];

/// Commits for some of `records` calls that are spread over the [`DAYS`] before `now`, oldest first. The same numbers
/// give the same records.
pub fn commits(now: Timestamp, records: u32, numbers: std::ops::Range<u32>) -> Vec<Commit> {
    let mut words = Words::new(u64::from(numbers.start) + 5);
    let step = Duration::from_secs(DAYS * 86_400).checked_div(records).unwrap_or_default();
    let one = |n| Commit { record: record(&mut words, now.minus(step * (records - n)), n) };
    numbers.map(one).collect()
}

fn record(words: &mut Words, at: Timestamp, n: u32) -> ExchangeRecord {
    let mut record = call(words, if n.is_multiple_of(WITH_BODIES) { 1_500 } else { 600 });
    if !n.is_multiple_of(WITH_BODIES) {
        record.bodies.clear();
    }
    let mut id = *ExchangeId::lowest_at(at).as_bytes();
    id[12..].copy_from_slice(&n.to_be_bytes());
    let exchange = &mut record.exchange;
    exchange.id = ExchangeId::try_from(&id[..]).unwrap_or_else(|_| ExchangeId::lowest_at(at));
    exchange.began_at = at;
    said(words, exchange, n);
    measured(words, exchange);
    ended(words, exchange, n);
    record
}

/// A number below `below`, of which each is about half as frequent as one half as large.
fn skewed(words: &mut Words, below: u64) -> u64 {
    let luck = words.number(1 << 20) as f64 / f64::from(1 << 20);
    ((below + 1) as f64).powf(luck) as u64 - 1
}

/// Who called what.
fn said(words: &mut Words, exchange: &mut Exchange, n: u32) {
    let (provider, model, path) = MODELS[skewed(words, MODELS.len() as u64) as usize];
    exchange.provider = provider.to_owned();
    exchange.model_asked = Some(if n % RARE == 7 { "rare-model" } else { model }.to_owned());
    exchange.model_served = Some(format!("{model}-2026-01-01"));
    exchange.path = if n % RARE == 9 { "/v1/moderations" } else { path }.to_owned();
    (exchange.dialect, exchange.provider_dialect) = match provider {
        "anthropic" => (Dialect::Anthropic, ProviderDialect::Anthropic),
        "google" => (Dialect::Gemini, ProviderDialect::Gemini),
        _ => (Dialect::OpenaiChat, ProviderDialect::Openai),
    };
    exchange.streamed = words.number(100) < 60;
    exchange.caller.app = Some(format!("app-{}", skewed(words, 12)));
    let user = skewed(words, 200);
    exchange.caller.key = Some(format!("vk_{user}"));
    exchange.caller.owner = Some(format!("user-{user}"));
    exchange.caller.project = Some(format!("project-{}", user % 9));
    exchange.session = (words.number(10) < 6).then(|| format!("session-{}", skewed(words, 40_000)));
    exchange.tags = match n % 100 {
        0 if n.is_multiple_of(RARE) => vec!["nightly".to_owned(), "eval".to_owned()],
        0..2 => vec!["eval".to_owned()],
        _ => Vec::new(),
    };
    if words.number(100) < 15 {
        exchange.tools_called = vec!["read_file".to_owned()];
    }
}

/// How long it took, how much it was, what it cost: most of them little, few of them much.
fn measured(words: &mut Words, exchange: &mut Exchange) {
    exchange.duration_us = Some(150_000 + 100 * skewed(words, 1_000_000));
    exchange.first_byte_us = Some(90_000 + skewed(words, 900_000));
    let (asked, answered) = (20 + skewed(words, 120_000), 1 + skewed(words, 8_000));
    exchange.usage.input_tokens = Some(asked);
    exchange.usage.output_tokens = Some(answered);
    exchange.usage.total_tokens = Some(asked + answered);
    exchange.cost_micros = Some(asked / 2 + answered * 4);
}

fn ended(words: &mut Words, exchange: &mut Exchange, n: u32) {
    let (outcome, status, error) = match words.number(1000) {
        0..5 => (Outcome::UpstreamError, 529, "overloaded"),
        5..30 => (Outcome::UpstreamError, 429, "rate limited"),
        _ if n % 10_000 == 11 => (Outcome::TimedOut, 504, "the provider did not answer in time"),
        _ => return,
    };
    exchange.outcome = outcome;
    exchange.status = Some(status);
    exchange.error = Some(error.to_owned());
}
