//! The log's own numbers. The only label is the log's name: `capture` or `spool`.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use verbatim_core::ports::LogHealth;

/// Handles, looked up once.
pub(crate) struct Measures {
    messages: Counter,
    bytes: Counter,
    commits: Counter,
    commit_seconds: Histogram,
    backlog_bytes: Gauge,
    backlog_messages: Gauge,
    ends_pending: Gauge,
    dead_letters: Gauge,
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
            backlog_bytes: gauge!("verbatim_log_backlog_bytes", "log" => log),
            backlog_messages: gauge!("verbatim_log_backlog_messages", "log" => log),
            ends_pending: gauge!("verbatim_log_ends_pending", "log" => log),
            dead_letters: gauge!("verbatim_log_dead_letters", "log" => log),
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

    /// What waits right now.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; what it rounds nobody sees")]
    pub(crate) fn waiting(&self, health: LogHealth) {
        self.backlog_bytes.set(health.bytes as f64);
        self.backlog_messages.set(health.messages as f64);
        self.ends_pending.set(health.ends_pending as f64);
        self.dead_letters.set(health.dead_letters as f64);
    }

    /// A file was found damaged, or messages in one.
    pub(crate) fn damaged(&self, files: u64, messages: u64) {
        self.damaged_files.increment(files);
        self.lost_messages.increment(messages);
    }
}
