//! The search index on SQLite's FTS5.
//!
//! One file holds the filters' columns, the postings and the compressed text of every document; it is written by one
//! thread and read by a small pool. Text is cut into tokens before ([`verbatim_search_text`]), so FTS5 sees nothing but
//! tokens. A rebuild fills a second file, which then takes the first one's place.
//!
//! Knows no archive: what it holds can be made anew from there at any time, and a damaged file is set aside.

mod body;
mod damage;
mod expression;
mod facets;
mod file;
mod find;
mod place;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::RwLock;
use tokio::task::spawn_blocking;
use verbatim_core::model::{ExchangeId, SearchDocument};
use verbatim_core::ports::{
    Hit, IndexHealth, PortError, PortResult, SearchIndex, SearchPage, SearchRequest, WriteOutcome,
};
use verbatim_search_text::snippet;
use verbatim_sqlite::Doing;

use body::Packer;
use file::IndexFile;
use find::FoundPage;
use write::Prepared;

/// A token that no text has: every document has it, before, between and behind its fields.
const NOWHERE_ELSE: &str = "\u{e000}";

/// Documents that are forgotten in one transaction, so that others can write in between.
const FORGOTTEN_AT_ONCE: usize = 500;

/// The search index in a file.
pub struct SqliteSearch {
    /// The one that answers.
    path: PathBuf,
    files: RwLock<Files>,
}

/// The open files. Searches and writes share them; a rebuild's begin and end have them alone.
struct Files {
    /// The one that answers.
    current: IndexFile,
    /// Whether records may be missing from it: it was made anew, or is damaged.
    incomplete: bool,
    rebuild: Rebuild,
}

enum Rebuild {
    None,
    /// Into the file that answers: it was incomplete anyway.
    InPlace,
    /// Into a second file.
    Next(IndexFile),
}

impl SqliteSearch {
    /// Opens the index in a file such as `search.db`. Beside it a rebuild fills `search-next.db`, and a damaged file becomes
    /// `search.db.damaged`.
    ///
    /// One that is missing is made, one that is damaged is set aside and made anew; both then
    /// [need a rebuild](Self::needs_rebuild). What an unfinished rebuild left is deleted: the file that answered
    /// meanwhile has everything, too. Blocks its thread.
    ///
    /// # Errors
    /// [`PortError::Permanent`] where the file can't be opened, or its schema is newer than this program's;
    /// [`PortError::Conflict`] where another process has it.
    pub fn open(path: impl Into<PathBuf>) -> PortResult<Self> {
        let path = path.into();
        file::delete(&next_path(&path))?;
        file::set_aside_if_damaged(&path)?;
        let current = IndexFile::open(&path)?;
        let files = Files { incomplete: !current.complete, current, rebuild: Rebuild::None };
        Ok(Self { path, files: RwLock::new(files) })
    }

    /// Whether records of the archive may be missing until it is rebuilt. It answers with what it has.
    pub async fn needs_rebuild(&self) -> bool {
        let files = self.files.read().await;
        files.incomplete || files.current.watch.saw_damage()
    }

    /// Finishes what is being written and closes the files.
    pub async fn close(&self) {
        let files = self.files.write().await;
        files.current.close().await;
        if let Rebuild::Next(next) = &files.rebuild {
            next.close().await;
        }
    }
}

/// Where a rebuild of this file goes.
fn next_path(path: &Path) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push("-next.");
    name.push(path.extension().unwrap_or("db".as_ref()));
    path.with_file_name(name)
}

impl Files {
    /// The files that are written, the one whose word counts last.
    fn written(&self) -> impl Iterator<Item = &IndexFile> {
        let next = match &self.rebuild {
            Rebuild::Next(next) => Some(next),
            Rebuild::None | Rebuild::InPlace => None,
        };
        std::iter::once(&self.current).chain(next)
    }
}

#[async_trait]
impl SearchIndex for SqliteSearch {
    async fn write(&self, documents: Vec<SearchDocument>) -> PortResult<Vec<WriteOutcome>> {
        let (prepared, refused) = blocking(move || prepare(documents)).await??;
        let files = self.files.read().await;
        let mut outcomes = Vec::new();
        for file in files.written() {
            let (prepared, watch) = (Arc::clone(&prepared), file.watch.clone());
            outcomes = file.writer.run(move |connection| write::write(connection, &prepared, &watch)).await?;
        }
        let mut outcomes = outcomes.into_iter();
        let outcome = |refused: Option<String>| match refused {
            Some(reason) => WriteOutcome::Refused(reason),
            None => outcomes.next().unwrap_or(WriteOutcome::Indexed),
        };
        Ok(refused.into_iter().map(outcome).collect())
    }

    async fn forget(&self, up_to: ExchangeId) -> PortResult<()> {
        let files = self.files.read().await;
        for file in files.written() {
            loop {
                let watch = file.watch.clone();
                let forget =
                    move |connection: &_| write::forget(connection, up_to, FORGOTTEN_AT_ONCE, &watch);
                if file.writer.run(forget).await? < FORGOTTEN_AT_ONCE {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn search(&self, request: SearchRequest) -> PortResult<SearchPage> {
        let page = {
            let files = self.files.read().await;
            let watch = files.current.watch.clone();
            files.current.readers.run(move |connection| find::find(connection, &request, &watch)).await?
        };
        // Outside the transaction: it keeps the write-ahead log from being written back.
        blocking(move || highlighted(page)).await
    }

    /// Where the index needs a rebuild, the file that answers is filled in place, and answers with what it has.
    async fn begin_rebuild(&self) -> PortResult<()> {
        let mut files = self.files.write().await;
        if let Rebuild::Next(next) = &files.rebuild {
            next.close().await;
        }
        files.rebuild = Rebuild::None;
        if files.current.watch.saw_damage() {
            files.current.close().await;
            let path = self.path.clone();
            let make_anew = move || {
                file::set_aside(&path)?;
                IndexFile::open(&path)
            };
            files.current = blocking(make_anew).await??;
            files.incomplete = true;
        }
        files.rebuild = if files.incomplete {
            Rebuild::InPlace
        } else {
            let path = self.path.clone();
            let make = move || {
                let next = next_path(&path);
                file::delete(&next)?;
                IndexFile::open(&next)
            };
            Rebuild::Next(blocking(make).await??)
        };
        Ok(())
    }

    /// To be awaited to its end: left half-way, the index stays closed until the process starts again.
    async fn finish_rebuild(&self) -> PortResult<()> {
        let mut files = self.files.write().await;
        let rebuilt = match &files.rebuild {
            Rebuild::None => {
                return Err(PortError::Permanent("no rebuild of the search index is under way".to_owned()));
            }
            Rebuild::InPlace => &files.current,
            Rebuild::Next(next) => next,
        };
        let complete = |connection: &rusqlite::Connection| {
            connection.execute("UPDATE state SET complete = 1", []).doing("end a rebuild").map(|_| ())
        };
        rebuilt.writer.run(complete).await?;
        if let Rebuild::Next(next) = &files.rebuild {
            next.close().await;
            files.current.close().await;
            let path = self.path.clone();
            let swap = move || {
                file::replace(&path, &next_path(&path))?;
                IndexFile::open(&path)
            };
            files.current = blocking(swap).await??;
        }
        files.rebuild = Rebuild::None;
        files.incomplete = false;
        Ok(())
    }

    async fn health(&self) -> PortResult<IndexHealth> {
        let files = self.files.read().await;
        let watch = files.current.watch.clone();
        let read = move |connection: &_| watch.doing("read the search index", write::state(connection));
        let (_, documents) = files.current.readers.run(read).await?;
        Ok(IndexHealth { documents, bytes: files.written().map(IndexFile::bytes).sum() })
    }
}

/// Documents made ready, and for each that was handed in why it was refused, if it was.
type Batch = (Arc<Vec<Prepared>>, Vec<Option<String>>);

fn prepare(documents: Vec<SearchDocument>) -> PortResult<Batch> {
    let mut packer = Packer::new().map_err(|error| PortError::transient("set up compression", error))?;
    let mut prepared = Vec::with_capacity(documents.len());
    let refused = documents
        .into_iter()
        .map(|document| write::prepare(document, &mut packer).map(|ready| prepared.push(ready)).err())
        .collect();
    Ok((Arc::new(prepared), refused))
}

fn highlighted(page: FoundPage) -> SearchPage {
    let hit = |found: find::Found| {
        let fields = body::unpack(&found.body).unwrap_or_default();
        let snippets = body::FIELDS
            .iter()
            .zip(&fields)
            .filter_map(|(field, text)| snippet(field, text, &page.needles.wanted))
            .collect();
        Hit { id: found.id, snippets }
    };
    SearchPage { hits: page.found.into_iter().map(hit).collect(), more: page.more, total: page.total }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> PortResult<T> {
    spawn_blocking(work)
        .await
        .map_err(|error| PortError::transient("work on the search index was broken off", error))
}
