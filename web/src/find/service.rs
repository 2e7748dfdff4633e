//! One question, whichever store can answer it.

use serde::Serialize;
use utoipa::ToSchema;
use verbatim_core::model::query::{Condition, Field, Filter, Query, parse};
use verbatim_core::model::{Exchange, ExchangeId};
use verbatim_core::ports::{ListRequest, PortResult, SearchRequest, Snippet};

use super::{Range, everywhere};
use crate::error::ApiError;
use crate::stores::Stores;

/// Counting stops here: beyond, it is "10,000+".
pub(crate) const COUNTED: u64 = 10_000;

/// A question.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ask {
    pub(crate) query: Query,
    /// Only exchanges that began before this one.
    pub(crate) before: Option<ExchangeId>,
    /// So many to pass over first.
    pub(crate) skip: u64,
    pub(crate) limit: usize,
    /// Whether to count how many there are.
    pub(crate) count: bool,
}

impl Ask {
    /// Reads a query as typed.
    pub(crate) fn parse(stores: &Stores, query: &str, limit: usize) -> Result<Self, ApiError> {
        match parse(query, stores.clock.now()) {
            Ok(query) => Ok(Self { query, limit, ..Self::default() }),
            Err(error) => Err(ApiError::Query { query: query.to_owned(), error }),
        }
    }

    /// Narrows the question to a range, unless the query names a time itself.
    pub(crate) fn within(&mut self, stores: &Stores, range: Range) {
        if let Some(span) = range.span().filter(|_| !self.names_a_time()) {
            let condition = Condition::Time { from: Some(stores.clock.now().minus(span)), to: None };
            self.query.filters.push(Filter { field: Field::Began, condition, excluded: false });
        }
    }

    /// Whether it looks through bodies no further back than a day, because it says no time.
    pub(crate) fn is_cut_short(&self) -> bool {
        let says_when = |filter: &Filter| filter.field == Field::Began && !filter.excluded;
        self.query.everywhere && !self.query.text.is_empty() && !self.query.filters.iter().any(says_when)
    }

    /// Whether the query says when.
    pub(crate) fn names_a_time(&self) -> bool {
        self.query.filters.iter().any(|filter| filter.field == Field::Began)
    }
}

/// The store that answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Where {
    /// The archive's columns.
    Archive,
    /// The search index.
    SearchIndex,
    /// The bodies.
    Bodies,
}

/// Something the reader of an answer should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Notice {
    /// A word for programs: `search_unavailable`, `scan_limited`.
    pub(crate) code: &'static str,
    /// A line for people.
    pub(crate) message: String,
}

impl Notice {
    /// Whether the words of the query were not looked for.
    pub(crate) fn is_unavailable(&self) -> bool {
        self.code == "search_unavailable"
    }
}

/// A piece of text, and whether it is what was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Fragment {
    /// The text.
    pub(crate) text: String,
    /// Whether it is what was looked for.
    pub(crate) hit: bool,
}

/// An exchange that was found.
#[derive(Debug, Clone)]
pub(crate) struct FoundItem {
    pub(crate) exchange: Exchange,
    pub(crate) snippets: Vec<Snippet>,
}

/// One page of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) items: Vec<FoundItem>,
    /// Ask on from here; `None` at the end.
    pub(crate) next: Option<ExchangeId>,
    /// How many match, counted up to [`COUNTED`]; `None` where nobody counted.
    pub(crate) total: Option<u64>,
    pub(crate) answered_by: Where,
    pub(crate) notices: Vec<Notice>,
}

/// Finds exchanges, newest first.
pub(crate) async fn find(stores: &Stores, ask: Ask) -> PortResult<Found> {
    if ask.query.text.is_empty() {
        return from_archive(stores, &ask, Vec::new()).await;
    }
    if ask.query.everywhere {
        return everywhere::scan(stores, &ask).await;
    }
    let Some(index) = &stores.index else {
        let message =
            "word search is not set up here: showing what the filters match; `in:all` looks through bodies";
        return from_archive(stores, &ask, vec![unavailable(message)]).await;
    };
    let request =
        SearchRequest { query: ask.query.clone(), before: ask.before, skip: ask.skip, limit: ask.limit };
    match index.search(request).await {
        Ok(page) => {
            let ids: Vec<ExchangeId> = page.hits.iter().map(|hit| hit.id).collect();
            let next = ids.last().copied().filter(|_| page.more);
            let mut exchanges = stores.archive.get_many(&ids).await?.into_iter().peekable();
            let mut items = Vec::with_capacity(ids.len());
            // Those that the archive no longer holds are left out; the rest come in the same order.
            for hit in page.hits {
                if exchanges.peek().is_some_and(|exchange| exchange.id == hit.id)
                    && let Some(exchange) = exchanges.next()
                {
                    items.push(FoundItem { exchange, snippets: hit.snippets });
                }
            }
            Ok(Found { items, next, total: page.total, answered_by: Where::SearchIndex, notices: Vec::new() })
        }
        Err(error) => {
            tracing::warn!(%error, "the search index could not be asked");
            let message = "word search can't be reached right now: showing what the filters match";
            from_archive(stores, &ask, vec![unavailable(message)]).await
        }
    }
}

fn unavailable(message: &str) -> Notice {
    Notice { code: "search_unavailable", message: message.to_owned() }
}

async fn from_archive(stores: &Stores, ask: &Ask, notices: Vec<Notice>) -> PortResult<Found> {
    let archive = &stores.archive;
    let request = ListRequest {
        filters: ask.query.filters.clone(),
        before: ask.before,
        skip: ask.skip,
        limit: ask.limit,
        ..ListRequest::default()
    };
    let count = async {
        if ask.count { archive.count(&ask.query.filters, COUNTED).await.map(Some) } else { Ok(None) }
    };
    let (page, total) = tokio::try_join!(archive.list(request), count)?;
    let next = page.exchanges.last().map(|exchange| exchange.id).filter(|_| page.more);
    let items =
        page.exchanges.into_iter().map(|exchange| FoundItem { exchange, snippets: Vec::new() }).collect();
    Ok(Found { items, next, total, answered_by: Where::Archive, notices })
}

/// A snippet cut at its marks.
pub(crate) fn fragments(snippet: &Snippet) -> Vec<Fragment> {
    let mut out = Vec::new();
    let mut push = |text: &str, hit| {
        if !text.is_empty() {
            out.push(Fragment { text: text.to_owned(), hit });
        }
    };
    let mut at = 0;
    for mark in &snippet.marks {
        let (Some(before), Some(marked)) =
            (snippet.text.get(at..mark.start), snippet.text.get(mark.start..mark.end))
        else {
            continue;
        };
        push(before, false);
        push(marked, true);
        at = mark.end;
    }
    push(snippet.text.get(at..).unwrap_or_default(), false);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_is_cut_at_its_marks() {
        let snippet = Snippet {
            field: "asked",
            text: "明天天气好".to_owned(),
            marks: std::iter::once(6..12).collect(),
        };
        let cut: Vec<(String, bool)> =
            fragments(&snippet).into_iter().map(|fragment| (fragment.text, fragment.hit)).collect();
        assert_eq!(cut, [("明天".into(), false), ("天气".into(), true), ("好".into(), false)]);
    }

    #[test]
    fn marks_that_do_not_fit_are_passed_over() {
        let snippet = Snippet { field: "asked", text: "天气".to_owned(), marks: vec![1..2, 0..3, 90..99] };
        let cut: String = fragments(&snippet).into_iter().map(|fragment| fragment.text).collect();
        assert_eq!(cut, "天气");
    }
}
