//! The contract of the search index, on SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::sync::Mutex;
use verbatim_core::ports::SearchIndex;
use verbatim_search_sqlite::SqliteSearch;
use verbatim_testkit::search_index::SearchWorld;

struct World {
    directory: TempDir,
    open: Mutex<Option<Arc<SqliteSearch>>>,
}

#[async_trait]
impl SearchWorld for World {
    async fn open(&self) -> Arc<dyn SearchIndex> {
        let path = self.directory.path().join("search.db");
        let index = Arc::new(SqliteSearch::open(path).expect("the index opens"));
        *self.open.lock().await = Some(Arc::clone(&index));
        index
    }

    async fn close(&self) {
        if let Some(index) = self.open.lock().await.take() {
            index.close().await;
        }
    }
}

fn world() -> Box<dyn SearchWorld> {
    Box::new(World { directory: tempfile::tempdir().expect("a directory"), open: Mutex::default() })
}

verbatim_testkit::search_index_contract!(world);
