//! The search index on Meilisearch.
//!
//! **What is found.** Text is cut into tokens before ([`verbatim_search_text`]), as for the other index, and Meilisearch
//! is given them spelt in ASCII (`terms`). Its own tokenizers are not relied on: they find Japanese words of two
//! characters only in a build with the dictionaries, `user` not in `getUserName`, and no phrase across a comma (checked on
//! 1.50). So no build of it is asked for, and no language has to be detected.
//!
//! - Words have to be there as they are typed: every term is quoted, and typo tolerance is off. Hits come newest first, so
//!   that a word's misspelt neighbours would stand among its own hits.
//! - The last word may be unfinished: where it is nowhere a word, what begins so is found.
//! - Filters compare values as the query language does, spelt so that Meilisearch can't see equals in others
//!   (`facet`). Parts of values are looked for with its CONTAINS operator, which is allowed at start (an experimental
//!   feature since 1.10).
//! - What Meilisearch can't tell for certain is looked at again here (`check`).
//! - Snippets are cut here, from the text as it was: nothing in a document can be taken for a mark.
//!
//! **What is durable.** [`write`](SearchIndex::write) returns once the tasks succeeded. Documents that fail alone are
//! refused; whatever else fails is transient, for nothing else is a document's fault: keys and disks are mended, and the
//! documents are then written.
//!
//! **Rebuilds.** A rebuild fills `<index>-next`, and every process writes to it because it exists. What an index says of
//! itself (`settings`) tells a rebuild's from one that a late write made, and whether it is complete.
//!
//! Knows no archive: what it holds can be made anew from there at any time.

mod check;
mod config;
mod document;
mod facet;
mod filter;
mod find;
mod rebuild;
mod server;
mod settings;
mod terms;
mod transport;
mod trouble;
mod write;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::{Mutex, OnceCell, Semaphore};
use tokio::task::spawn_blocking;
use verbatim_core::model::{ExchangeId, SearchDocument};
use verbatim_core::ports::{
    Hit, IndexHealth, PortError, PortResult, SearchIndex, SearchPage, SearchRequest, WriteOutcome,
};
use verbatim_search_text::snippet;

pub use config::{ApiKey, Config, InvalidConfig};

use check::Found;
use document::FIELDS;
use find::FoundPage;
use server::{Server, found};
use settings::Mark;
use trouble::Trouble;
use write::{IN_FLIGHT, Writer};

/// The oldest version that compares ids as text.
const OLDEST: (u64, u64) = (1, 15);

/// The search index on a Meilisearch server.
pub struct MeilisearchIndex {
    config: Config,
    /// The index that a rebuild fills.
    next: String,
    server: Server,
    /// Set once the server was checked.
    checked: OnceCell<()>,
    in_flight: Semaphore,
    /// The name of the rebuild that was begun here.
    rebuild: Mutex<Option<String>>,
}

impl MeilisearchIndex {
    /// An index on the server of `config`, which need not be reachable yet: the first call [checks](Self::check) it.
    ///
    /// # Errors
    /// [`PortError::Permanent`] where no client can be made: a key that can't be sent, no certificates to be read.
    pub fn new(config: Config) -> PortResult<Self> {
        Ok(Self {
            next: format!("{}-next", config.index()),
            server: Server::new(&config)?,
            config,
            checked: OnceCell::new(),
            in_flight: Semaphore::new(IN_FLIGHT),
            rebuild: Mutex::new(None),
        })
    }

    /// Checks that the server can be used, and brings the index's settings into line. Done once; a server that is down
    /// is checked again by the next call.
    ///
    /// # Errors
    /// [`PortError::Transient`] where it can't be reached; [`PortError::Permanent`] where it is too old, refuses the key,
    /// or has an index of this name that is somebody else's. Each says what to do.
    pub async fn check(&self) -> PortResult<()> {
        self.checked.get_or_try_init(|| self.check_now()).await.copied()
    }

    async fn check_now(&self) -> PortResult<()> {
        let version =
            self.server.version().await.map_err(|trouble| self.told(&trouble, "ask its version"))?;
        if is_too_old(&version) {
            let (address, (major, minor)) = (self.server.address(), OLDEST);
            return Err(PortError::Permanent(format!(
                "Meilisearch at {address} is version {version}: expected {major}.{minor} or newer; update it"
            )));
        }
        if let Err(trouble) = self.server.allow_contains().await {
            let told = self.told(&trouble, "allow its CONTAINS operator");
            if told.is_transient() {
                return Err(told);
            }
            tracing::warn!(error = %trouble, "filters on parts of values will fail, for Meilisearch's CONTAINS is not allowed");
        }
        let index = self.config.index();
        let key =
            self.server.primary_key(index).await.map_err(|trouble| self.told(&trouble, "read its index"))?;
        if let Some(Value::String(key)) = key
            && key != "id"
        {
            let address = self.server.address();
            return Err(PortError::Permanent(format!(
                "Meilisearch at {address} has an index {index:?} with the primary key {key:?}, which is not Verbatim's: \
                 set another name for ours"
            )));
        }
        self.set_up().await.map_err(|trouble| self.told(&trouble, "set up its index"))?;
        tracing::debug!(version, index, "Meilisearch is as it should be");
        Ok(())
    }

    /// Brings the settings of the index that answers into line, making it where there is none.
    pub(crate) async fn set_up(&self) -> Result<(), Trouble> {
        let index = self.config.index();
        match self.server.setup(index).await? {
            Some(setup) if setup.is_current => Ok(()),
            other => self.server.set_up(index, &other.map_or(Mark::None, |setup| setup.mark)).await,
        }
    }

    /// Whether records of the archive may be missing until it is rebuilt: it is new, or was wiped. It answers with what
    /// it has.
    ///
    /// # Errors
    /// As of [`check`](Self::check).
    pub async fn needs_rebuild(&self) -> PortResult<bool> {
        self.check().await?;
        let setup = self.server.setup(self.config.index()).await;
        let setup = setup.map_err(|trouble| self.told(&trouble, "read its settings"))?;
        Ok(!setup.is_some_and(|setup| matches!(setup.mark, Mark::Complete(_))))
    }

    /// The server's version.
    ///
    /// # Errors
    /// As of [`check`](Self::check).
    pub async fn version(&self) -> PortResult<String> {
        self.server.version().await.map_err(|trouble| self.told(&trouble, "ask its version"))
    }

    /// The server's address, to be shown.
    pub fn address(&self) -> &str {
        self.server.address()
    }

    fn told(&self, trouble: &Trouble, doing: &str) -> PortError {
        trouble.told(self.server.address(), doing)
    }

    async fn write_all(&self, documents: Vec<SearchDocument>) -> PortResult<Vec<WriteOutcome>> {
        let mut prepared = blocking(move || write::prepare(&documents)).await?;
        if !prepared.lines.is_empty() {
            self.check().await?;
            let telling = |trouble: Trouble| self.told(&trouble, "write documents");
            let indexes = self.written().await.map_err(telling)?;
            let writer = Writer { server: &self.server, in_flight: &self.in_flight, indexes: &indexes };
            let batches =
                write::batches(&prepared.lines, self.config.batch_documents, self.config.batch_bytes);
            for (place, outcome) in writer.write(batches).await.map_err(telling)? {
                prepared.outcomes[place] = Some(outcome);
            }
        }
        Ok(prepared.outcomes())
    }

    async fn forget_through(&self, id: ExchangeId) -> PortResult<()> {
        self.check().await?;
        let telling = |trouble: Trouble| self.told(&trouble, "forget documents");
        for index in self.written().await.map_err(telling)? {
            self.server.delete(index, &format!("id <= \"{id}\"")).await.map_err(telling)?;
        }
        Ok(())
    }

    /// Runs a search; once more where the index turns out to be gone or set up otherwise.
    async fn find(&self, request: &SearchRequest) -> Result<FoundPage, Trouble> {
        let index = self.config.index();
        match find::find(&self.server, index, request).await {
            Err(trouble)
                if ["index_not_found", "invalid_search_sort", "invalid_search_filter"]
                    .iter()
                    .any(|code| trouble.has_code(code)) =>
            {
                self.set_up().await?;
                find::find(&self.server, index, request).await
            }
            answer => answer,
        }
    }
}

#[async_trait]
impl SearchIndex for MeilisearchIndex {
    /// No error of it is permanent, so that no document is set aside for what is not its fault.
    async fn write(&self, documents: Vec<SearchDocument>) -> PortResult<Vec<WriteOutcome>> {
        self.write_all(documents).await.map_err(|error| PortError::Transient(error.to_string()))
    }

    /// Nor is one of this: what has to go is not given up.
    async fn forget(&self, up_to: ExchangeId) -> PortResult<()> {
        self.forget_through(up_to).await.map_err(|error| PortError::Transient(error.to_string()))
    }

    async fn search(&self, request: SearchRequest) -> PortResult<SearchPage> {
        self.check().await?;
        let page = self.find(&request).await.map_err(|trouble| self.told(&trouble, "search"))?;
        blocking(move || highlighted(page)).await
    }

    async fn begin_rebuild(&self) -> PortResult<()> {
        self.check().await?;
        self.begin().await.map_err(|trouble| self.told(&trouble, "begin a rebuild"))
    }

    async fn finish_rebuild(&self) -> PortResult<()> {
        self.check().await?;
        self.finish().await
    }

    /// Its bytes are those of the whole server: of one index it tells none.
    async fn health(&self) -> PortResult<IndexHealth> {
        self.check().await?;
        let telling = |trouble: Trouble| self.told(&trouble, "ask how it is doing");
        let path = format!("/indexes/{}/stats", self.config.index());
        let index = found(self.server.get::<Value>(&path).await).map_err(telling)?.unwrap_or_default();
        let all: Value = self.server.get("/stats").await.map_err(telling)?;
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        Ok(IndexHealth {
            documents: number(&index["numberOfDocuments"]),
            bytes: number(&all["databaseSize"]),
        })
    }
}

/// A version that can't be read is one of the future.
fn is_too_old(version: &str) -> bool {
    let mut numbers = version.split(['.', '-']).map(str::parse::<u64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < OLDEST,
        _ => false,
    }
}

fn highlighted(page: FoundPage) -> SearchPage {
    let hit = |found: Found| {
        let text = |field: &str| found.text.get(field).map_or("", String::as_str);
        let snippets = FIELDS.iter().filter_map(|field| snippet(field, text(field), &page.wanted)).collect();
        Hit { id: found.id, snippets }
    };
    SearchPage { hits: page.found.into_iter().map(hit).collect(), more: page.more, total: page.total }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> PortResult<T> {
    spawn_blocking(work)
        .await
        .map_err(|error| PortError::transient("work on the search index was broken off", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        for (version, old) in [
            ("1.15.0", false),
            ("1.50.0", false),
            ("2.0.0-rc.1", false),
            ("1.9.9", true),
            ("0.30.5", true),
            ("main", false),
        ] {
            assert_eq!(is_too_old(version), old, "{version}");
        }
    }
}
