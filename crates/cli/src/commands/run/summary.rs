//! What a session came to: calls, tokens, cost.

use anyhow::Result;
use serde::Deserialize;
use verbatim_core::model::Exchange;
use verbatim_core::model::query::parse;
use verbatim_core::ports::{Archive, Clock, ListRequest, SystemClock};

use crate::client::Client;
use crate::terminal;

/// Exchanges are read so many at once, and so many pages at most.
const PAGE: usize = 500;
const PAGES: usize = 20;

/// Sums over a session's exchanges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) calls: u64,
    failed: u64,
    pub(super) running: u64,
    input_tokens: u64,
    output_tokens: u64,
    cost_micros: u64,
}

/// Why the running instance gave no sums.
pub(super) enum Unanswered {
    /// It wants a password.
    Locked,
    Failed(anyhow::Error),
}

/// The part of an exchange that is summed, as the API gives it.
#[derive(Debug, Deserialize)]
struct Item {
    outcome: String,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cost_micros: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Items {
    items: Vec<Item>,
    next_cursor: Option<String>,
}

impl Summary {
    fn add(&mut self, item: &Item) {
        self.calls += 1;
        self.running += u64::from(item.outcome == "running");
        self.failed += u64::from(!matches!(item.outcome.as_str(), "running" | "completed"));
        self.input_tokens += item.input_tokens.unwrap_or_default();
        self.output_tokens += item.output_tokens.unwrap_or_default();
        self.cost_micros += item.cost_micros.unwrap_or_default();
    }
}

impl From<&Exchange> for Item {
    fn from(exchange: &Exchange) -> Self {
        Self {
            outcome: exchange.outcome.to_string(),
            input_tokens: exchange.usage.input_tokens,
            output_tokens: exchange.usage.output_tokens,
            cost_micros: exchange.cost_micros,
        }
    }
}

/// Sums of a session in this process's own archive.
pub(super) async fn of_archive(archive: &dyn Archive, session: &str) -> Result<Summary> {
    let filters = parse(&format!("session:{session}"), SystemClock.now())?.filters;
    let mut summary = Summary::default();
    let mut before = None;
    for _ in 0..PAGES {
        let request = ListRequest { filters: filters.clone(), before, limit: PAGE, ..ListRequest::default() };
        let page = archive.list(request).await?;
        page.exchanges.iter().for_each(|exchange| summary.add(&exchange.into()));
        before = page.exchanges.last().map(|exchange| exchange.id);
        if !page.more {
            break;
        }
    }
    Ok(summary)
}

/// Sums of a session, asked of the instance whose API is at `web`.
pub(super) async fn of_api(client: &Client, web: &str, session: &str) -> Result<Summary, Unanswered> {
    let mut summary = Summary::default();
    let mut cursor = String::new();
    for _ in 0..PAGES {
        let url = format!("{web}/api/v1/exchanges?q=session:{session}&limit=200{cursor}");
        let answer = client.get(&url).await.map_err(Unanswered::Failed)?;
        if answer.status == http::StatusCode::UNAUTHORIZED {
            return Err(Unanswered::Locked);
        }
        let page: Items =
            serde_json::from_slice(&answer.body).map_err(|error| Unanswered::Failed(error.into()))?;
        page.items.iter().for_each(|item| summary.add(item));
        match page.next_cursor {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    Ok(summary)
}

/// Says it in a line.
pub(super) fn tell(summary: &Summary, session: &str) {
    if summary.calls == 0 {
        terminal::tell(
            "verbatim: no call came through the relay; does the program take its base URL from elsewhere than \
             OPENAI_BASE_URL, ANTHROPIC_BASE_URL or GOOGLE_GEMINI_BASE_URL?",
        );
        return;
    }
    terminal::tell(format_args!("verbatim: session {session}: {}", line(summary)));
}

fn line(summary: &Summary) -> String {
    let calls = if summary.calls == 1 { "1 call".into() } else { format!("{} calls", summary.calls) };
    let failed = if summary.failed > 0 { format!(" ({} failed)", summary.failed) } else { String::new() };
    let running =
        if summary.running > 0 { format!(" ({} still running)", summary.running) } else { String::new() };
    let Summary { input_tokens, output_tokens, cost_micros, .. } = summary;
    // Dollars for people, not for sums.
    let dollars = *cost_micros as f64 / 1e6;
    format!("{calls}{failed}{running}, {input_tokens} tokens in, {output_tokens} out, ${dollars:.4}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_summed_up_in_a_line() {
        let mut summary = Summary::default();
        for outcome in ["completed", "client_aborted"] {
            summary.add(&Item {
                outcome: outcome.into(),
                input_tokens: Some(10),
                output_tokens: None,
                cost_micros: Some(1_500),
            });
        }
        assert_eq!(line(&summary), "2 calls (1 failed), 20 tokens in, 0 out, $0.0030");
    }
}
