//! How fast documents are written to a real Meilisearch and found in it again:
//!
//! `VERBATIM_TEST_MEILI_URL=http://127.0.0.1:7700 cargo run --release -p verbatim-search-meilisearch --example index_rate`
//!
//! Arguments: how many documents (100,000), how many are handed in at once (10,000), and how many are a task (5,000). The
//! documents have 1 KB of text each, of words as frequent as words are; the index is one of its own, which is deleted in
//! the end.

#![expect(clippy::print_stdout, reason = "it tells what it measured")]

use std::time::{Duration, Instant};

use verbatim_core::model::query::parse;
use verbatim_core::model::{ExchangeId, SearchDocument, Timestamp};
use verbatim_core::ports::{PortResult, SearchIndex, SearchRequest, WriteOutcome};
use verbatim_search_meilisearch::{Config, MeilisearchIndex};
use verbatim_testkit::ExchangeBuilder;

const TEXT_BYTES: usize = 1_024;
const WORDS: u64 = 30_000;
const SEARCHES: usize = 200;
const PAGE: usize = 50;
const NEWEST: Timestamp = Timestamp::from_unix_ms(1_795_300_000_000);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual: usize| arguments.next().map_or(Ok(usual), |text| text.parse());
    let (count, at_once, in_task) = (number(100_000)?, number(10_000)?, number(5_000)?);
    let mut config = Config::new(
        &given("VERBATIM_TEST_MEILI_URL")?,
        given("VERBATIM_TEST_MEILI_KEY").unwrap_or_default(),
    )?
    .with_index(&format!("rate-{}", ExchangeId::mint()))?;
    config.batch_documents = in_task;
    let index = MeilisearchIndex::new(config)?;
    index.check().await?;
    let measured = measure(&index, count, at_once).await;
    // A rebuild of nothing leaves nothing.
    index.begin_rebuild().await?;
    index.finish_rebuild().await?;
    Ok(measured?)
}

#[expect(clippy::disallowed_methods, reason = "it is told where the server is by the environment")]
fn given(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| format!("expected {name} in the environment"))
}

async fn measure(index: &MeilisearchIndex, count: usize, at_once: usize) -> PortResult<()> {
    let mut random = Random(42);
    let mut writing = Duration::ZERO;
    for first in (0..count).step_by(at_once) {
        let documents: Vec<_> =
            (first..count.min(first + at_once)).map(|n| document(n, &mut random)).collect();
        let began = Instant::now();
        let outcomes = index.write(documents).await?;
        writing += began.elapsed();
        assert!(outcomes.iter().all(|outcome| matches!(outcome, WriteOutcome::Indexed)), "all are indexed");
    }
    println!("{count} documents of 1 KB, {at_once} at once: {:.0}/s", count as f64 / writing.as_secs_f64());
    let health = index.health().await?;
    println!("{} documents in the index, {} MiB on the server's disk", health.documents, health.bytes >> 20);
    for (what, query) in [
        ("word, filter", "{word} model:gpt-4o status:200"),
        ("two words, filters and range", "{word} {word} app:agent-3 tokens:>100 after:2026-11-21"),
        ("frequent word, filter", "the model:gpt-4o"),
        ("phrase of three, filter", "\"{word} the of\" model:gpt-4o"),
        ("unfinished word", "{begin}"),
        ("filters alone", "provider:openai status:>=400"),
        ("part of a path", "path:chat app:*agent*"),
        ("without the newest 10,000", "the status:200"),
    ] {
        let mut times = Vec::with_capacity(SEARCHES);
        let mut found = 0;
        for n in 0..SEARCHES {
            let word = random.word();
            let text = query.replace("{word}", &word).replace("{begin}", &word[..word.len().min(3)]);
            let parsed = parse(&text, NEWEST)
                .map_err(|error| verbatim_core::ports::PortError::permanent("parse", error))?;
            let before = what.starts_with("without").then(|| id(count.saturating_sub(10_000 + n)));
            let began = Instant::now();
            let page = index.search(SearchRequest { query: parsed, before, skip: 0, limit: PAGE }).await?;
            times.push(began.elapsed());
            found += page.hits.len();
        }
        times.sort_unstable();
        let at = |part: usize| times[(SEARCHES * part / 100).min(SEARCHES - 1)].as_secs_f64() * 1e3;
        println!(
            "{what:30} p50 {:6.1} ms, p95 {:6.1} ms, {:4.1} hits of {PAGE} a page",
            at(50),
            at(95),
            found as f64 / SEARCHES as f64
        );
    }
    Ok(())
}

fn id(n: usize) -> ExchangeId {
    let since = Duration::from_millis(n as u64 * 100);
    ExchangeId::lowest_at(NEWEST.minus(Duration::from_secs(100_000)).plus(since))
}

fn document(n: usize, random: &mut Random) -> SearchDocument {
    let (asked, answered) = (random.text(TEXT_BYTES * 2 / 5), random.text(TEXT_BYTES * 3 / 5));
    let builder = ExchangeBuilder::new(id(n)).with(|exchange| {
        exchange.model_asked =
            Some(["gpt-4o", "claude-sonnet-4", "gemini-2.5-pro", "o3"][random.below(4)].to_owned());
        exchange.model_served = None;
        exchange.status = Some(if random.below(20) == 0 { 429 } else { 200 });
        exchange.caller.app = Some(format!("agent-{}", random.below(20)));
        exchange.session = Some(format!("session-{}", random.below(5_000)));
        exchange.usage.total_tokens = Some(random.below(2_000) as u64);
        exchange.duration_us = Some(random.below(5_000_000) as u64);
        exchange.cost_micros = Some(random.below(10_000) as u64);
    });
    builder.document(&asked, &answered)
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// A word; the `n`th most frequent about `1/n` as often as the first.
    fn word(&mut self) -> String {
        let uniform = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        let rank = (WORDS as f64).powf(uniform) as u64;
        match rank {
            1 => "the".to_owned(),
            2 => "of".to_owned(),
            mut rest => {
                const SYLLABLES: [&str; 16] = [
                    "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "zu", "ban", "den", "fil", "gor",
                    "hum", "jas",
                ];
                let mut word = String::new();
                while rest > 0 {
                    word.push_str(SYLLABLES[(rest % 16) as usize]);
                    rest /= 16;
                }
                word
            }
        }
    }

    fn text(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 16);
        while text.len() < bytes {
            text.push_str(&self.word());
            text.push(if self.below(12) == 0 { '.' } else { ' ' });
        }
        text
    }
}
