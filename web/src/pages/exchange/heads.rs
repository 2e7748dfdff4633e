//! The heads of one exchange, and how it reached a provider.

use verbatim_core::model::{Attempt, Headers};

use super::{Body, cut};
use crate::reading::Loaded;
use crate::text::Text;
use crate::view::format;

/// One head.
pub(super) struct HeadersView {
    pub(super) title: &'static str,
    pub(super) line: String,
    pub(super) headers: Vec<(String, String, bool)>,
    pub(super) trailers: Vec<(String, String, bool)>,
}

/// One try to reach a provider.
pub(super) struct AttemptView {
    pub(super) provider: String,
    pub(super) url: String,
    pub(super) result: String,
    pub(super) failed: bool,
    pub(super) times: String,
}

/// Heads, attempts, notes and facts.
pub(super) fn heads(t: &'static Text, loaded: &Loaded) -> Body {
    let heads = &loaded.heads;
    let request = HeadersView {
        title: t.request,
        line: format!("{} {} {}", loaded.exchange.method, loaded.exchange.path, heads.request.version),
        headers: pairs(&heads.request.headers),
        trailers: pairs(&heads.request.trailers),
    };
    let response = heads.response.as_ref().map(|head| HeadersView {
        title: t.response,
        line: format!(
            "{} {}",
            head.version,
            head.status.map(|status| status.to_string()).unwrap_or_default()
        ),
        headers: pairs(&head.headers),
        trailers: pairs(&head.trailers),
    });
    Body::Headers {
        heads: std::iter::once(request).chain(response).collect(),
        attempts: heads.attempts.iter().map(attempt).collect(),
        notes: heads.notes.clone(),
        facts: heads.facts.clone().into_iter().collect(),
    }
}

/// Name, value, and whether the value is redacted.
fn pairs(headers: &Headers) -> Vec<(String, String, bool)> {
    let shown = headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value);
        (name.to_owned(), cut(&value, 4 * 1024), value.contains("redacted:"))
    });
    shown.collect()
}

fn attempt(attempt: &Attempt) -> AttemptView {
    let ended = attempt.ended_us.map(|ended| format!(" – {}", format::duration(ended))).unwrap_or_default();
    AttemptView {
        provider: attempt.provider.clone(),
        url: attempt.url.clone(),
        result: match (&attempt.error, attempt.status) {
            (Some(error), _) => error.clone(),
            (None, Some(status)) => status.to_string(),
            (None, None) => format::UNKNOWN.to_owned(),
        },
        failed: attempt.error.is_some() || attempt.status.is_some_and(|status| status >= 400),
        times: format!("{}{ended}", format::duration(attempt.started_us)),
    }
}
