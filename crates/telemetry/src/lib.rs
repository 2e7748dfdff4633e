//! What a process tells about itself: logs, metrics, and the last words of a panic.
//!
//! It must not know any role: each role names its own metrics and spans, this crate only gives them a way out.

mod logs;
mod metrics;
mod panics;

pub use logs::{InvalidLevel, Level, LogFormat, Logs, LogsError};
pub use metrics::{Metrics, MetricsError};
pub use panics::log_panics;
