//! How a log is kept.

use std::path::PathBuf;
use std::time::Duration;

use tokio::runtime::Handle;

/// Settings of one log. [`Config::new`] gives those that fit the embedded capture log.
#[derive(Debug, Clone)]
pub struct Config {
    /// What the log is called in metrics: `capture` or `spool`.
    pub name: &'static str,
    /// Where its files are; made when absent. One process at a time.
    pub directory: PathBuf,
    /// Messages are refused while those kept take more than so many bytes: payload and some 64 bytes for each. Whole
    /// files are deleted, so a message that was purged counts until its neighbours are purged too. The files take
    /// a tenth more than that, and twice that for what is being written back.
    pub max_bytes: u64,
    /// Messages are refused while the disk has fewer free bytes than that.
    pub keep_free_bytes: u64,
    /// What is not acknowledged for so long is delivered again.
    pub acknowledgement_wait: Duration,
    /// A file takes so many bytes of messages (less where `max_bytes` is small); then the next one begins.
    pub segment_bytes: u64,
    /// Payload bytes of the newest messages that are kept in memory, so that a reader who keeps up never touches the
    /// files. Onlookers ([`Live`](verbatim_core::ports::Live)) are served from these alone.
    pub cache_bytes: usize,
    /// Payload bytes that may wait to be written; further callers wait before theirs are taken.
    pub queue_bytes: usize,
    /// Under load, a group of messages is made durable so often at most: a group takes some 16 KiB more than its
    /// messages, and an `fsync`. A message that comes after a quiet time does not wait.
    pub commit_interval: Duration,
    /// Acknowledgements are written so long after they came, at the latest.
    pub acknowledgement_flush: Duration,
    /// The runtime for what need not happen at once; `None`: the one that opens the log.
    pub housekeeping: Option<Handle>,
    /// A full file stays in its write-ahead log until those that do take more than so many bytes: what is purged
    /// before that is written to disk once instead of twice.
    pub write_back_bytes: u64,
}

impl Config {
    /// The settings of an embedded capture log in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            name: "capture",
            directory: directory.into(),
            max_bytes: 8 << 30,
            keep_free_bytes: 64 << 20,
            acknowledgement_wait: Duration::from_secs(60),
            segment_bytes: 64 << 20,
            cache_bytes: 8 << 20,
            queue_bytes: 16 << 20,
            commit_interval: Duration::from_millis(10),
            acknowledgement_flush: Duration::from_millis(200),
            housekeeping: None,
            write_back_bytes: 512 << 20,
        }
    }

    /// Bytes of messages after which a file is full: at least eight files make up `max_bytes`, so that purging
    /// gives space back before all is read.
    pub(crate) fn segment_limit(&self) -> u64 {
        self.segment_bytes.min(self.max_bytes / 8).max(1)
    }
}
