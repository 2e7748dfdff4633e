//! An exchange in two lines.

use verbatim_core::model::{Exchange, Integrity, Outcome, Timestamp};

use super::format;
use super::zone::Zone;
use crate::find::{FoundItem, Fragment, fragments};
use crate::text::{EN, Text};

/// How wide the waterfall is, in its own units.
const WATERFALL: f64 = 92.0;

/// What one row of the list shows.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) began_rfc3339: String,
    pub(crate) began_ms: i64,
    pub(crate) time: String,
    pub(crate) full_time: String,
    pub(crate) app: String,
    pub(crate) model: String,
    pub(crate) state: &'static str,
    pub(crate) state_class: &'static str,
    pub(crate) glyph: &'static str,
    /// Said beside the state: a status of 400 or above, bytes lost, damage.
    pub(crate) tag: String,
    pub(crate) asked: Vec<Fragment>,
    pub(crate) asked_is_path: bool,
    pub(crate) answered: Vec<Fragment>,
    pub(crate) answered_is_error: bool,
    pub(crate) input: String,
    pub(crate) output: String,
    pub(crate) cost: String,
    pub(crate) mark: &'static str,
    pub(crate) duration: String,
    pub(crate) running: bool,
    pub(crate) waiting_width: String,
    pub(crate) sending_width: String,
    pub(crate) sending_x: String,
}

/// The word for how an exchange ended.
pub(crate) fn outcome(outcome: Outcome, text: &Text) -> &'static str {
    match outcome {
        Outcome::Running => text.running,
        Outcome::Completed => text.completed,
        Outcome::UpstreamError => text.upstream_error,
        Outcome::ClientAborted => text.client_aborted,
        Outcome::UpstreamAborted => text.upstream_aborted,
        Outcome::TimedOut => text.timed_out,
        Outcome::Refused => text.refused,
        Outcome::Interrupted => text.interrupted,
        Outcome::Incomplete => text.incomplete,
    }
}

/// An error in the reader's language where the relay itself said it; else as it came.
pub(crate) fn said(error: &str, text: &Text) -> String {
    let known = [
        (EN.caller_left, text.caller_left),
        (EN.caller_left_sending, text.caller_left_sending),
        (EN.gateway_shut_down, text.gateway_shut_down),
        (EN.gateway_stopped, text.gateway_stopped),
    ];
    known.into_iter().find(|(own, _)| *own == error).map_or(error, |(_, said)| said).to_owned()
}

/// Red only for what failed; what somebody meant to do is not a failure.
pub(crate) fn state_class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "ok",
        Outcome::Running => "live",
        Outcome::ClientAborted | Outcome::Interrupted => "warn",
        Outcome::UpstreamError
        | Outcome::UpstreamAborted
        | Outcome::TimedOut
        | Outcome::Refused
        | Outcome::Incomplete => "bad",
    }
}

/// What stands beside the state where something is wrong.
pub(crate) fn tag(exchange: &Exchange, text: &Text) -> String {
    match (exchange.status, exchange.integrity) {
        (_, Integrity::Damaged) => text.damaged.to_owned(),
        (_, Integrity::Partial) => text.partial.to_owned(),
        (Some(status), _) if status >= 400 => status.to_string(),
        _ => String::new(),
    }
}

impl Row {
    pub(crate) fn new(item: &FoundItem, text: &Text, zone: Zone, now: Timestamp) -> Self {
        let exchange = &item.exchange;
        let running = exchange.outcome == Outcome::Running;
        let (asked, asked_is_path) = asked(item);
        let (answered, answered_is_error) = answered(item, text);
        let usage = &exchange.usage;
        let (waiting, sending) = waterfall(exchange);
        Self {
            id: exchange.id.to_string(),
            began_rfc3339: exchange.began_at.to_string(),
            began_ms: exchange.began_at.as_unix_ms(),
            time: zone.short(exchange.began_at, now),
            full_time: zone.full(exchange.began_at),
            app: exchange.caller.app.clone().unwrap_or_default(),
            model: exchange.model().map_or_else(|| exchange.provider.clone(), str::to_owned),
            state: if running { text.streaming } else { outcome(exchange.outcome, text) },
            state_class: state_class(exchange.outcome),
            glyph: if running { "◐" } else { "●" },
            tag: tag(exchange, text),
            asked,
            asked_is_path,
            answered,
            answered_is_error,
            input: format::count_or(usage.input_tokens),
            output: format::count_or(usage.output_tokens),
            cost: exchange.cost_micros.map_or_else(|| format::UNKNOWN.to_owned(), format::cost),
            mark: format::mark(usage),
            duration: format::duration_or(exchange.duration_us),
            running,
            waiting_width: format!("{waiting:.1}"),
            sending_width: format!("{sending:.1}"),
            sending_x: format!("{waiting:.1}"),
        }
    }
}

/// Widths of waiting and of sending. The scale is logarithmic and the same for all rows: 10 ms to 5 minutes.
fn waterfall(exchange: &Exchange) -> (f64, f64) {
    let Some(duration) = exchange.duration_us.filter(|duration| *duration > 0) else { return (0.0, 0.0) };
    let scaled = ((duration as f64 / 10_000.0).max(1.0).ln() / 30_000_f64.ln()).min(1.0);
    let width = (scaled * WATERFALL).max(3.0);
    let first = exchange.first_token_us.or(exchange.first_byte_us).unwrap_or(duration).min(duration);
    let waiting = width * first as f64 / duration as f64;
    (waiting, width - waiting)
}

fn plain(text: &str) -> Vec<Fragment> {
    if text.is_empty() { Vec::new() } else { vec![Fragment { text: text.to_owned(), hit: false }] }
}

/// What was found in what was asked, else its first words, else the path.
fn asked(item: &FoundItem) -> (Vec<Fragment>, bool) {
    let found = item.snippets.iter().find(|snippet| matches!(snippet.field, "asked" | "system" | "request"));
    if let Some(snippet) = found {
        return (fragments(snippet), false);
    }
    let exchange = &item.exchange;
    if exchange.asked_preview.is_empty() {
        return (plain(&format!("{} {}", exchange.method, exchange.path)), true);
    }
    (plain(&exchange.asked_preview), false)
}

/// What was found elsewhere, else the answer's first words, else the error.
fn answered(item: &FoundItem, text: &Text) -> (Vec<Fragment>, bool) {
    let elsewhere = |field| !matches!(field, "asked" | "system" | "request");
    if let Some(snippet) = item.snippets.iter().find(|snippet| elsewhere(snippet.field)) {
        return (fragments(snippet), snippet.field == "error");
    }
    let exchange = &item.exchange;
    match exchange.error.as_deref() {
        Some(error) if !error.is_empty() => {
            (plain(&said(error, text)), state_class(exchange.outcome) == "bad")
        }
        _ => (plain(&exchange.answered_preview), false),
    }
}

#[cfg(test)]
mod tests {
    use verbatim_core::model::{Provenance, Usage};
    use verbatim_core::ports::Snippet;
    use verbatim_testkit::ExchangeBuilder;

    use super::*;
    use crate::text::{EN, ZH};

    fn row(exchange: Exchange, snippets: Vec<Snippet>) -> Row {
        let now = exchange.began_at;
        Row::new(&FoundItem { exchange, snippets }, &EN, Zone::UTC, now)
    }

    #[test]
    fn an_estimate_has_its_mark_and_the_unknown_is_a_dash() {
        let exchange = ExchangeBuilder::minted()
            .with(|exchange| {
                exchange.usage = Usage {
                    input_tokens: Some(64_902),
                    provenance: Some(Provenance::Estimated),
                    ..Usage::default()
                };
                exchange.cost_micros = None;
            })
            .exchange();
        let row = row(exchange, Vec::new());
        assert_eq!((row.input.as_str(), row.output.as_str(), row.mark), ("64,902", "–", " ≈"));
        assert_eq!(row.cost, "–");
    }

    #[test]
    fn a_call_that_asked_nothing_shows_its_path() {
        let exchange =
            ExchangeBuilder::minted().with(|exchange| exchange.path = "/v1/models".to_owned()).exchange();
        let row = row(exchange, Vec::new());
        assert!(row.asked_is_path);
        assert_eq!(row.asked[0].text, "POST /v1/models");
    }

    #[test]
    fn what_was_found_is_shown_where_it_stands() {
        let exchange = ExchangeBuilder::minted().with(|e| e.asked_preview = "上海".to_owned()).exchange();
        let snippet = Snippet {
            field: "answered",
            text: "多云天气".to_owned(),
            marks: std::iter::once(6..12).collect(),
        };
        let row = row(exchange, vec![snippet]);
        assert_eq!(row.asked[0].text, "上海");
        assert!(row.answered[1].hit);
    }

    #[test]
    fn what_the_relay_says_is_in_the_reader_s_language_and_what_others_say_as_it_came() {
        let left = "the caller left before the call was over";
        assert_eq!(said(left, &EN), left);
        assert_eq!(said(left, &ZH), ZH.caller_left);
        assert_eq!(said("overloaded", &ZH), "overloaded");
    }

    #[test]
    fn a_waterfall_never_leaves_its_column() {
        for duration in [1, 10_000, 3_600_000_000, u64::MAX] {
            let exchange = ExchangeBuilder::minted()
                .with(|e| (e.duration_us, e.first_byte_us) = (Some(duration), Some(duration / 2)))
                .exchange();
            let (waiting, sending) = waterfall(&exchange);
            assert!(waiting >= 0.0 && sending >= 0.0 && waiting + sending <= WATERFALL + 0.01);
        }
    }
}
