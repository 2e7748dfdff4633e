//! Finding documents.
//!
//! Meilisearch is asked for what it can tell for certain, and then its page is the page. What it can't tell (a phrase, more
//! than ten words, two parts of one value) it narrows down as far as it can, and each document that it finds is looked at
//! again here (`check`).

use std::pin::pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt, stream};
use meilisearch_sdk::request::{HttpClient, Method};
use meilisearch_sdk::search::{MatchingStrategies, SearchQuery, Selectors};
use serde::Deserialize;
use tokio::task::spawn_blocking;
use verbatim_core::model::ExchangeId;
use verbatim_core::model::query::Query;
use verbatim_core::ports::SearchRequest;
use verbatim_search_text::{Needle, Needles};

use crate::check::{Check, Found};
use crate::filter::Filters;
use crate::server::Server;
use crate::terms::{Asked, asked};
use crate::transport::Http;
use crate::trouble::Trouble;

/// Matches are counted up to here.
const COUNTED: u64 = 10_000;

/// Documents in the first page that is looked at again, at least and at most. Each page after it has twice as many as the
/// one before: what a page costs beside its documents is paid seldom, and little is fetched that is not needed.
const FIRST: (usize, usize) = (50, 200);

/// The most documents in a page, and the most bytes of text, by the page before.
const LARGEST: (usize, usize) = (1_000, 4 << 20);

/// Pages under way: one that is looked at, while the next is fetched.
const PAGES: usize = 2;

/// Documents that are looked at again for one search, at most.
const LOOKED_AT: usize = 20_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    hits: Vec<Found>,
    estimated_total_hits: u64,
}

/// What was found, newest first.
#[derive(Debug, Default)]
pub(crate) struct FoundPage {
    pub(crate) found: Vec<Found>,
    pub(crate) more: bool,
    pub(crate) total: Option<u64>,
    /// What to highlight.
    pub(crate) wanted: Vec<Needle>,
}

/// Documents to be looked at again.
struct Page {
    hits: Vec<Found>,
    /// What comes after them, unless they are the last.
    next: Option<Next>,
}

/// A page that is not fetched yet.
#[derive(Clone, Copy)]
struct Next {
    before: Option<ExchangeId>,
    size: usize,
    /// Documents before it.
    looked_at: usize,
}

/// Documents in the page after one of `size`.
fn larger(size: usize, hits: &[Found]) -> usize {
    let bytes: usize = hits.iter().flat_map(|hit| hit.text.values()).map(String::len).sum();
    let average = bytes / hits.len().max(1);
    (size * 2).min(LARGEST.0).min(LARGEST.1 / average.max(1)).max(FIRST.0)
}

/// Runs a search.
pub(crate) async fn find(
    server: &Server,
    index: &str,
    request: &SearchRequest,
) -> Result<FoundPage, Trouble> {
    let mut needles = Needles::of(&request.query);
    if needles.hopeless {
        return Ok(FoundPage { total: Some(0), ..FoundPage::default() });
    }
    if let Some(last) = needles.unfinished() {
        let whole = Needles { wanted: vec![last.clone()], ..Needles::default() };
        let whole = Search::new(server, index, &whole, &Query::default());
        last.prefix = !whole.page(None, 0, 0).await?.more;
    }
    let page = Search::new(server, index, &needles, &request.query);
    let page = page.page(request.before, request.skip, request.limit).await?;
    Ok(FoundPage { wanted: needles.wanted, ..page })
}

struct Search<'a> {
    server: &'a Server,
    index: &'a str,
    q: String,
    expressions: Vec<String>,
    check: Arc<Check>,
}

impl<'a> Search<'a> {
    fn new(server: &'a Server, index: &'a str, needles: &Needles, query: &Query) -> Self {
        let Filters { expressions, unsure } = Filters::of(&query.filters);
        let Asked { q, wanted, excluded } = asked(needles);
        Self { server, index, q, expressions, check: Arc::new(Check { wanted, excluded, filters: unsure }) }
    }

    async fn page(&self, before: Option<ExchangeId>, skip: u64, limit: usize) -> Result<FoundPage, Trouble> {
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        if !self.check.is_empty() {
            return self.checked_page(before, skip, limit).await;
        }
        let answer = self.ask(before, skip, limit.saturating_add(1)).await?;
        let total = match before {
            None => answer.estimated_total_hits,
            // Of those before this page, too.
            Some(_) => self.ask(None, 0, 0).await?.estimated_total_hits,
        };
        let mut found = answer.hits;
        let more = found.len() > limit;
        found.truncate(limit);
        Ok(FoundPage { found, more, total: Some(total.min(COUNTED)), ..FoundPage::default() })
    }

    async fn checked_page(
        &self,
        before: Option<ExchangeId>,
        skip: usize,
        limit: usize,
    ) -> Result<FoundPage, Trouble> {
        let wanted = skip.saturating_add(limit);
        let size = wanted.saturating_add(1).clamp(FIRST.0, FIRST.1);
        // Most searches need no other page: none is fetched meanwhile.
        let Page { hits, mut next } = self.fetch(Next { before, size, looked_at: 0 }).await?;
        let mut found = self.checked(hits).await?;
        if let Some(second) = next.filter(|_| found.len() <= wanted) {
            let pages = self.pages(second).map(|page| self.checked_of(page)).buffered(PAGES);
            let mut pages = pin!(pages);
            while found.len() <= wanted && next.is_some() {
                let page = pages.next().await.ok_or(Trouble::TooMany(LOOKED_AT))??;
                found.extend(page.hits);
                next = page.next;
            }
        }
        let all = next.is_none();
        let total = (all && before.is_none()).then_some(found.len() as u64).filter(|total| *total < COUNTED);
        let more = found.len() > wanted;
        found.truncate(wanted);
        found.drain(..skip.min(found.len()));
        Ok(FoundPage { found, more, total, ..FoundPage::default() })
    }

    /// The page and those after it, as long as no more than [`LOOKED_AT`] documents are looked at.
    fn pages(&self, first: Next) -> impl Stream<Item = Result<Page, Trouble>> {
        stream::try_unfold(Some(first), async |next| {
            let Some(next) = next.filter(|next| next.size > 0) else { return Ok(None) };
            let page = self.fetch(next).await?;
            let next = page.next;
            Ok(Some((page, next)))
        })
    }

    async fn fetch(&self, page: Next) -> Result<Page, Trouble> {
        let hits = self.ask(page.before, 0, page.size).await?.hits;
        let looked_at = page.looked_at + hits.len();
        let size = larger(page.size, &hits).min(LOOKED_AT.saturating_sub(looked_at));
        let last = hits.last().filter(|_| hits.len() >= page.size);
        let next = last.map(|last| Next { before: Some(last.id), size, looked_at });
        Ok(Page { hits, next })
    }

    async fn checked_of(&self, page: Result<Page, Trouble>) -> Result<Page, Trouble> {
        let Page { hits, next } = page?;
        Ok(Page { hits: self.checked(hits).await?, next })
    }

    async fn checked(&self, mut hits: Vec<Found>) -> Result<Vec<Found>, Trouble> {
        let check = Arc::clone(&self.check);
        let checking = spawn_blocking(move || {
            hits.retain(|hit| check.passes(hit));
            hits
        });
        checking.await.map_err(|error| Trouble::Unreadable(error.to_string()))
    }

    async fn ask(&self, before: Option<ExchangeId>, offset: usize, limit: usize) -> Result<Answer, Trouble> {
        let before = before.map(|before| format!("id < \"{before}\""));
        let filter = self.expressions.iter().chain(&before).cloned().collect::<Vec<_>>().join(" AND ");
        let retrieved: Vec<_> = ["id", "text"].into_iter().chain(self.check.attributes()).collect();
        let index = self.server.client.index(self.index);
        let mut query = SearchQuery::new(&index);
        query
            .with_query(&self.q)
            .with_sort(&["id:desc"])
            .with_matching_strategy(MatchingStrategies::ALL)
            .with_locales(&["eng"])
            .with_attributes_to_retrieve(Selectors::Some(&retrieved))
            .with_offset(offset)
            .with_limit(limit);
        if !filter.is_empty() {
            query.with_filter(&filter);
        }
        let url = format!("{}/indexes/{}/search", self.server.address(), self.index);
        let post = Method::Post { query: (), body: &query };
        Ok(self.server.http.request::<(), &SearchQuery<'_, Http>, Answer>(&url, post, 200).await?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_grow_as_far_as_their_text_is_small() {
        let hits = |bytes: usize| -> Vec<Found> {
            let hit = json!({"id": ExchangeId::mint(), "text": {"asked": "x".repeat(bytes)}});
            vec![serde_json::from_value(hit).unwrap()]
        };
        let sizes = |bytes: usize| -> Vec<usize> {
            let hits = hits(bytes);
            std::iter::successors(Some(51), |size| Some(larger(*size, &hits))).take(7).collect()
        };
        let (small, middling, large) = (sizes(0), sizes(32 << 10), sizes(384 << 10));
        assert_eq!(small, [51, 102, 204, 408, 816, 1_000, 1_000]);
        assert_eq!(middling, [51, 102, 128, 128, 128, 128, 128]);
        assert_eq!(large, [51, 50, 50, 50, 50, 50, 50]);
    }
}
