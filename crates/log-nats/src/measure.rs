//! The log's own numbers, under the names that the embedded log uses, too.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};

/// Handles, looked up once.
pub(crate) struct Measures {
    messages: Counter,
    bytes: Counter,
    append_seconds: Histogram,
    garbage: Counter,
}

impl Measures {
    pub(crate) fn new() -> Self {
        Self {
            messages: counter!("verbatim_log_appended_messages_total", "log" => "capture"),
            bytes: counter!("verbatim_log_appended_bytes_total", "log" => "capture"),
            append_seconds: histogram!("verbatim_log_commit_seconds", "log" => "capture"),
            garbage: counter!("verbatim_log_garbage_total", "log" => "capture"),
        }
    }

    /// So much of one append is durable.
    pub(crate) fn appended(&self, messages: u64, bytes: u64, took: Duration) {
        self.messages.increment(messages);
        self.bytes.increment(bytes);
        self.append_seconds.record(took);
    }

    /// A message that is none of ours was set aside.
    pub(crate) fn garbage(&self) {
        self.garbage.increment(1);
    }
}
