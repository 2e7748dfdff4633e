//! The log keeps the capture log's contract.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use verbatim_core::ports::CaptureLog;
use verbatim_log_sqlite::{Config, SqliteLog};
use verbatim_testkit::capture_log::LogWorld;

struct World {
    directory: TempDir,
    config: fn(&TempDir) -> Config,
    acknowledgement_wait: Duration,
    log: Mutex<Option<Arc<SqliteLog>>>,
}

impl World {
    fn take(&self) -> Arc<SqliteLog> {
        self.log.lock().unwrap().take().expect("a log is open")
    }
}

#[async_trait]
impl LogWorld for World {
    async fn open(&self) -> Arc<dyn CaptureLog> {
        let config =
            Config { acknowledgement_wait: self.acknowledgement_wait, ..(self.config)(&self.directory) };
        let log = Arc::new(SqliteLog::open(config).await.unwrap());
        *self.log.lock().unwrap() = Some(log.clone());
        log
    }

    async fn close(&self) {
        self.take().shutdown().await.unwrap();
    }

    async fn kill(&self) {
        let log = self.take();
        assert_eq!(Arc::strong_count(&log), 1, "a log that is to be killed is still held");
        spawn_blocking(move || drop(log)).await.unwrap();
    }
}

fn world(config: fn(&TempDir) -> Config, acknowledgement_wait: Duration) -> Box<dyn LogWorld> {
    let directory = tempfile::tempdir().unwrap();
    Box::new(World { directory, config, acknowledgement_wait, log: Mutex::default() })
}

mod as_the_capture_log {
    use super::*;

    fn world(acknowledgement_wait: Duration) -> Box<dyn LogWorld> {
        super::world(|directory| Config::new(directory.path()), acknowledgement_wait)
    }

    verbatim_testkit::capture_log_contract!(world);
}

/// Small files that are written back at once, nothing in memory: every read comes from a file, most from one that is
/// full.
mod from_many_small_files {
    use super::*;

    fn world(acknowledgement_wait: Duration) -> Box<dyn LogWorld> {
        let config = |directory: &TempDir| Config {
            segment_bytes: 4096,
            cache_bytes: 0,
            write_back_bytes: 0,
            acknowledgement_flush: Duration::from_millis(1),
            commit_interval: Duration::ZERO,
            ..Config::new(directory.path())
        };
        super::world(config, acknowledgement_wait)
    }

    verbatim_testkit::capture_log_contract!(world);
}
