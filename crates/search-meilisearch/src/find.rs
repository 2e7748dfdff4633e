//! Finding documents.
//!
//! Meilisearch is asked for what it can tell for certain, and then its page is the page. What it can't tell (a phrase, more
//! than ten words, two parts of one value) it narrows down as far as it can, and each document that it finds is looked at
//! again here (`check`).

use std::sync::Arc;

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

/// Documents that are fetched at once to be looked at again, at least and at most.
const FETCHED: (usize, usize) = (50, 200);

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
        let fetched = wanted.saturating_add(1).clamp(FETCHED.0, FETCHED.1);
        let (mut found, mut last, mut looked_at, mut all) = (Vec::new(), before, 0, false);
        while found.len() <= wanted && !all {
            if looked_at >= LOOKED_AT {
                return Err(Trouble::TooMany(LOOKED_AT));
            }
            let hits = self.ask(last, 0, fetched).await?.hits;
            all = hits.len() < fetched;
            looked_at += hits.len();
            last = hits.last().map(|hit| hit.id).or(last);
            found.extend(self.checked(hits).await?);
        }
        let total = (all && before.is_none()).then_some(found.len() as u64).filter(|total| *total < COUNTED);
        let more = found.len() > wanted;
        found.truncate(wanted);
        found.drain(..skip.min(found.len()));
        Ok(FoundPage { found, more, total, ..FoundPage::default() })
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
