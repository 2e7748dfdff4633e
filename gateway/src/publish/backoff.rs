//! When to try again what failed.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);

/// A wait that doubles with each failure, up to a second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    until: Instant,
    wait: Duration,
}

impl Backoff {
    /// The wait after one more failure; `before` is the one that the last failure caused, if it failed then too.
    pub(super) fn after(before: Option<Self>, now: Instant) -> Self {
        let wait = before.map_or(FIRST, |before| (before.wait * 2).min(LONGEST));
        Self { until: now + wait, wait }
    }

    /// Whether it may be tried again.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now >= self.until
    }

    /// A try begins: no other one before as much time has passed again.
    pub(super) fn tried(&mut self, now: Instant) {
        self.until = now + self.wait;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_wait_up_to_a_second() {
        let now = Instant::now();
        let mut backoff = Backoff::after(None, now);
        for ms in [50, 100, 200, 400, 800, 1000, 1000] {
            assert!(!backoff.is_over(now + Duration::from_millis(ms - 1)), "{ms}");
            assert!(backoff.is_over(now + Duration::from_millis(ms)), "{ms}");
            backoff = Backoff::after(Some(backoff), now);
        }
    }
}
