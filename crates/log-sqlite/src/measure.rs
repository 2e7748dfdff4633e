//! What the log does. The only label is the log's name: `capture` or `spool`. What waits in it is told by who reads it:
//! the recorder of the capture log, the gateway of its spool.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};

/// Handles, looked up once.
pub(crate) struct Measures {
    messages: Counter,
    bytes: Counter,
    commits: Counter,
    commit_seconds: Histogram,
    damaged_files: Counter,
    lost_messages: Counter,
}

impl Measures {
    pub(crate) fn new(log: &'static str) -> Self {
        Self {
            messages: counter!("verbatim_log_appended_messages_total", "log" => log),
            bytes: counter!("verbatim_log_appended_bytes_total", "log" => log),
            commits: counter!("verbatim_log_commits_total", "log" => log),
            commit_seconds: histogram!("verbatim_log_commit_seconds", "log" => log),
            damaged_files: counter!("verbatim_log_damaged_files_total", "log" => log),
            lost_messages: counter!("verbatim_log_lost_messages_total", "log" => log),
        }
    }

    /// A group became durable.
    pub(crate) fn appended(&self, messages: u64, bytes: u64, took: Duration) {
        self.messages.increment(messages);
        self.bytes.increment(bytes);
        self.commits.increment(1);
        self.commit_seconds.record(took);
    }

    /// A file was found damaged, or messages in one.
    pub(crate) fn damaged(&self, files: u64, messages: u64) {
        self.damaged_files.increment(files);
        self.lost_messages.increment(messages);
    }
}
