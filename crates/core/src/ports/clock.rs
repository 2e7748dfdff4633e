//! Wall-clock time as a parameter.

use std::time::UNIX_EPOCH;

use crate::model::Timestamp;

/// Tells the time of day. Durations are measured with monotonic clocks, not with this.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where wall time enters")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_unix_us(0).plus(since)
    }
}
