//! The stores behind the ports: here, and only here, it is decided which engine they are.

use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::runtime::Handle;
use verbatim_archive_sqlite::{ArchiveOptions, SqliteArchive};
use verbatim_core::ports::SystemClock;
use verbatim_log_sqlite::SqliteLog;
use verbatim_search_sqlite::SqliteSearch;

use crate::config::Settings;
use crate::data_dir::DataDir;

/// Opens the capture log.
pub(crate) async fn log(
    directory: &DataDir,
    settings: &Settings,
    background: &Handle,
) -> Result<Arc<SqliteLog>> {
    let config = verbatim_log_sqlite::Config {
        max_bytes: settings.capture_log.max_bytes.0,
        housekeeping: Some(background.clone()),
        ..verbatim_log_sqlite::Config::new(directory.log())
    };
    Ok(Arc::new(SqliteLog::open(config).await.context("capture log")?))
}

/// Opens the gateway's spool.
pub(crate) async fn spool(
    directory: &DataDir,
    settings: &Settings,
    background: &Handle,
) -> Result<Arc<SqliteLog>> {
    let spool = &settings.gateway.spool;
    let config = verbatim_log_sqlite::Config {
        name: "spool",
        max_bytes: spool.max_bytes.0,
        keep_free_bytes: spool.min_free_bytes.0,
        housekeeping: Some(background.clone()),
        // Nobody follows it: what is read back was written long before.
        cache_bytes: 0,
        ..verbatim_log_sqlite::Config::new(directory.spool())
    };
    Ok(Arc::new(SqliteLog::open(config).await.context("spool")?))
}

/// Opens the archive. Blocks its thread; those that write for it inherit that one's priority.
pub(crate) fn archive(directory: &DataDir) -> Result<Arc<SqliteArchive>> {
    let archive =
        SqliteArchive::open(&directory.archive(), Arc::new(SystemClock), &ArchiveOptions::default());
    Ok(Arc::new(archive.context("archive")?))
}

/// Opens the search index. Blocks its thread; the one that writes for it inherits that one's priority.
pub(crate) fn index(directory: &DataDir) -> Result<Arc<SqliteSearch>> {
    let directory = directory.index();
    std::fs::create_dir_all(&directory).with_context(|| format!("could not make {}", directory.display()))?;
    let path = directory.join("search.db");
    let config = verbatim_search_sqlite::Config { path, writer: verbatim_sqlite::WriterOptions::default() };
    Ok(Arc::new(SqliteSearch::open(config).context("search index")?))
}
