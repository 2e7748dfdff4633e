//! The contract of the search index, on a real Meilisearch.

use std::sync::Arc;

use crate::real::Real;
use async_trait::async_trait;
use verbatim_core::ports::SearchIndex;
use verbatim_testkit::search_index::SearchWorld;

struct World(Real);

#[async_trait]
impl SearchWorld for World {
    async fn open(&self) -> Arc<dyn SearchIndex> {
        Arc::new(self.0.open().await)
    }

    async fn close(&self) {}
}

fn world() -> Box<dyn SearchWorld> {
    Box::new(World(Real::index()))
}

verbatim_testkit::search_index_contract!(world, where Real::is_given);
