//! Finding documents.
//!
//! Meilisearch is asked for what it can tell for certain, and then its page is the page. What it can't tell (a phrase of
//! three words and more, more than ten words, two parts of one value) it narrows down as far as it can, and each document
//! that it finds is looked at again here.

use std::collections::HashMap;

use meilisearch_sdk::request::{HttpClient, Method};
use meilisearch_sdk::search::{MatchingStrategies, SearchQuery, Selectors};
use serde::Deserialize;
use verbatim_core::model::ExchangeId;
use verbatim_core::model::query::{Filter, Query};
use verbatim_core::ports::SearchRequest;
use verbatim_search_text::{Needle, Needles};

use crate::document::Facets;
use crate::filter::{self, Filters};
use crate::server::Server;
use crate::terms::{Asked, asked};
use crate::transport::Http;
use crate::trouble::Trouble;

/// Matches are counted up to here.
const COUNTED: u64 = 10_000;

/// Documents that are fetched at once to be looked at again.
const FETCHED: usize = 200;

/// Documents that are looked at again for one search, at most.
const LOOKED_AT: usize = 20_000;

/// A document that was found.
#[derive(Debug, Deserialize)]
pub(crate) struct Found {
    pub(crate) id: ExchangeId,
    /// Its fields' texts, by their names.
    #[serde(default)]
    pub(crate) text: HashMap<String, String>,
    #[serde(default)]
    words: HashMap<String, Texts>,
    #[serde(flatten)]
    facets: Facets,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

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
    let mut beginning = false;
    if let Some(last) = needles.unfinished() {
        let whole = Needles { wanted: vec![last.clone()], ..Needles::default() };
        let whole = Search::new(server, index, asked(&whole, false), &Query::default());
        beginning = !whole.page(None, 0, 0).await?.more;
        last.prefix = beginning;
    }
    let search = Search::new(server, index, asked(&needles, beginning), &request.query);
    let page = search.page(request.before, request.skip, request.limit).await?;
    Ok(FoundPage { wanted: needles.wanted, ..page })
}

struct Search<'a> {
    server: &'a Server,
    index: &'a str,
    asked: Asked,
    expressions: Vec<String>,
    /// Filters to be asked again.
    unsure: Vec<Filter>,
}

impl<'a> Search<'a> {
    fn new(server: &'a Server, index: &'a str, asked: Asked, query: &Query) -> Self {
        let Filters { expressions, unsure } = Filters::of(&query.filters);
        Self { server, index, asked, expressions, unsure }
    }

    async fn page(&self, before: Option<ExchangeId>, skip: u64, limit: usize) -> Result<FoundPage, Trouble> {
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        if !self.looks_again() {
            let answer = self.ask(before, skip, limit.saturating_add(1)).await?;
            let mut found = answer.hits;
            let more = found.len() > limit;
            found.truncate(limit);
            // With `before`, what comes before the page is not counted.
            let total = before.is_none().then(|| answer.estimated_total_hits.min(COUNTED));
            return Ok(FoundPage { found, more, total, ..FoundPage::default() });
        }
        let wanted = skip.saturating_add(limit);
        let (mut found, mut before, mut looked_at) = (Vec::new(), before, 0);
        while found.len() <= wanted {
            let hits = self.ask(before, 0, FETCHED).await?.hits;
            let full = hits.len() == FETCHED;
            looked_at += hits.len();
            before = hits.last().map(|last| last.id).or(before);
            found.extend(hits.into_iter().filter(|hit| self.is_right(hit)));
            if !full {
                break;
            }
            if looked_at >= LOOKED_AT && found.len() <= wanted {
                return Err(Trouble::TooMany(LOOKED_AT));
            }
        }
        let more = found.len() > wanted;
        found.truncate(wanted);
        found.drain(..skip.min(found.len()));
        Ok(FoundPage { found, more, total: None, ..FoundPage::default() })
    }

    fn looks_again(&self) -> bool {
        !(self.asked.wanted.is_empty() && self.asked.excluded.is_empty() && self.unsure.is_empty())
    }

    fn is_right(&self, hit: &Found) -> bool {
        let stands = |part: &crate::terms::Part| hit.words().any(|words| part.stands_in(words));
        self.asked.wanted.iter().all(stands)
            && !self.asked.excluded.iter().any(stands)
            && self.unsure.iter().all(|unsure| filter::holds(unsure, hit.facets.of_field(unsure.field)))
    }

    async fn ask(&self, before: Option<ExchangeId>, offset: usize, limit: usize) -> Result<Answer, Trouble> {
        let before = before.map(|before| format!("id < \"{before}\""));
        let filter = self.expressions.iter().chain(&before).cloned().collect::<Vec<_>>().join(" AND ");
        let mut retrieved = vec!["id", "text"];
        if self.looks_again() {
            retrieved.push("words");
            retrieved.extend(self.unsure.iter().map(|unsure| filter::attribute(unsure.field)));
        }
        let index = self.server.client.index(self.index);
        let mut query = SearchQuery::new(&index);
        query
            .with_query(&self.asked.q)
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

impl Found {
    fn words(&self) -> impl Iterator<Item = &str> {
        self.words.values().flat_map(|texts| match texts {
            Texts::One(text) => std::slice::from_ref(text).iter().map(String::as_str),
            Texts::Many(texts) => texts.iter().map(String::as_str),
        })
    }
}
