//! File descriptors: how many this process may have, and for what.
//!
//! Callers must not be able to use up those that the record needs.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More than this would never be used.
const WANTED: u64 = 65_536;
/// Files of the log, the archive and the index, at least; beyond that a quarter of all.
const FILES: u64 = 384;
/// More connections than these would cost more memory than there is for them.
const RELAY_AT_MOST: u64 = 16_384;
const WEB_AT_MOST: u64 = 1024;

/// The process's limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Descriptors {
    before: Rlimit,
    now: Rlimit,
}

impl Descriptors {
    /// Raises it as far as is useful and allowed.
    pub(crate) fn raise() -> Self {
        let before = getrlimit(Resource::Nofile);
        let wanted = before.maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
        let raised = Rlimit { current: Some(wanted), ..before };
        let is_less = before.current.is_some_and(|current| current < wanted);
        let now = if is_less && setrlimit(Resource::Nofile, raised).is_ok() { raised } else { before };
        Self { before, now }
    }

    /// Does something, such as starting a program, with the limit that was before.
    pub(crate) fn as_before<T>(&self, doing: impl FnOnce() -> T) -> T {
        // Lowering it never fails; nothing that is open is closed.
        let _ = setrlimit(Resource::Nofile, self.before);
        let done = doing();
        if let Err(error) = setrlimit(Resource::Nofile, self.now) {
            tracing::warn!(%error, "the limit of open files could not be raised again");
        }
        done
    }

    /// How many connections callers may have: each needs another one to a provider.
    pub(crate) fn relay_connections(self) -> usize {
        number(((self.for_sockets() - self.for_web()) / 2).clamp(16, RELAY_AT_MOST))
    }

    /// How many connections the dashboard's users may have.
    pub(crate) fn web_connections(self) -> usize {
        number(self.for_web())
    }

    fn for_web(self) -> u64 {
        (self.for_sockets() / 10).clamp(16, WEB_AT_MOST)
    }

    fn for_sockets(self) -> u64 {
        let all = self.now.current.map_or(WANTED, |current| current.min(WANTED));
        all.saturating_sub(FILES.max(all / 4)).max(32)
    }
}

fn number(connections: u64) -> usize {
    usize::try_from(connections).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_leave_descriptors_for_files() {
        for limit in [64, 256, 1024, 4096, 65_536, 1 << 30] {
            let now = Rlimit { current: Some(limit), maximum: None };
            let descriptors = Descriptors { before: now, now };
            let (relay, web) = (descriptors.relay_connections(), descriptors.web_connections());
            assert!(relay >= 16 && web >= 16, "{limit}");
            if limit >= 1024 {
                let left = limit - 2 * relay as u64 - web as u64;
                assert!(left >= FILES, "{limit}: {left}");
                assert!(relay >= 250, "{limit}: {relay}");
            }
        }
    }
}
