//! The last words of a panic.

use std::backtrace::Backtrace;
use std::panic::{self, PanicHookInfo};

/// Writes panics to the log, where a collector finds them, instead of bare text on standard error.
pub fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(
            thread = thread.name().unwrap_or("unnamed"),
            location,
            backtrace = %Backtrace::capture(),
            "panicked: {}",
            message(info)
        );
    }));
}

fn message<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    info.payload_as_str().unwrap_or("without a message")
}
