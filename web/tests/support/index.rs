use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use verbatim_core::model::{Exchange, ExchangeId, ExchangeRecord, SearchDocument};
use verbatim_core::ports::{
    Hit, IndexHealth, PortResult, SearchIndex, SearchPage, SearchRequest, Snippet, WriteOutcome,
};

use super::Switch;

/// Finds words in the previews.
#[derive(Default)]
pub struct MemoryIndex {
    documents: Mutex<BTreeMap<ExchangeId, Exchange>>,
    pub down: Switch,
}

impl MemoryIndex {
    pub fn add(&self, record: &ExchangeRecord) {
        self.documents.lock().unwrap().insert(record.exchange.id, record.exchange.clone());
    }
}

fn snippet(field: &'static str, text: &str, word: &str) -> Option<Snippet> {
    let at = text.to_ascii_lowercase().find(&word.to_ascii_lowercase())?;
    Some(Snippet { field, text: text.to_owned(), marks: std::iter::once(at..at + word.len()).collect() })
}

#[async_trait]
impl SearchIndex for MemoryIndex {
    async fn write(&self, _: Vec<SearchDocument>) -> PortResult<Vec<WriteOutcome>> {
        Ok(Vec::new())
    }

    async fn forget(&self, _: ExchangeId) -> PortResult<()> {
        Ok(())
    }

    async fn search(&self, request: SearchRequest) -> PortResult<SearchPage> {
        self.down.check()?;
        let documents = self.documents.lock().unwrap();
        let mut hits = Vec::new();
        for exchange in documents.values().rev() {
            if !request.query.filters.iter().all(|filter| filter.holds(exchange)) {
                continue;
            }
            let mut snippets: Vec<Snippet> = Vec::new();
            let all = request.query.text.iter().all(|term| {
                let found: Vec<Snippet> = [
                    snippet("asked", &exchange.asked_preview, &term.text),
                    snippet("answered", &exchange.answered_preview, &term.text),
                ]
                .into_iter()
                .flatten()
                .collect();
                let there = !found.is_empty();
                snippets.extend(found);
                there != term.excluded
            });
            if all {
                hits.push(Hit { id: exchange.id, snippets });
            }
        }
        let total = Some(hits.len() as u64);
        hits.retain(|hit| request.before.is_none_or(|before| hit.id < before));
        let mut hits = hits.split_off(usize::try_from(request.skip).unwrap().min(hits.len()));
        let more = hits.len() > request.limit;
        hits.truncate(request.limit);
        Ok(SearchPage { hits, more, total })
    }

    async fn begin_rebuild(&self) -> PortResult<()> {
        Ok(())
    }

    async fn finish_rebuild(&self) -> PortResult<()> {
        Ok(())
    }

    async fn health(&self) -> PortResult<IndexHealth> {
        self.down.check()?;
        Ok(IndexHealth { documents: self.documents.lock().unwrap().len() as u64, bytes: 4_200_000 })
    }
}
