//! Connections that are kept for the next call.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::conn::http2::SendRequest;

use super::driver::Driver;
use super::{Channel, Origin};
use crate::relay::RequestBody;

/// Providers close connections after a minute or more without a call; ours go first, so that few calls meet a
/// connection that is just being closed.
const KEPT_FOR: Duration = Duration::from_secs(50);
/// So many are kept for each provider.
const KEPT: usize = 1024;

/// The kept connections of all providers.
#[derive(Default)]
pub(super) struct Pool {
    origins: Mutex<HashMap<Origin, Kept>>,
}

#[derive(Default)]
struct Kept {
    idle: Vec<(Box<Driver>, Instant)>,
    shared: Option<SendRequest<RequestBody>>,
}

impl Pool {
    /// A connection that still seems to be open: the one that was used last.
    pub(super) fn take(&self, origin: &Origin) -> Option<Channel> {
        let mut origins = self.lock();
        let kept = origins.get_mut(origin)?;
        if let Some(sender) = &kept.shared {
            if !sender.is_closed() {
                return Some(Channel::Http2(sender.clone()));
            }
            kept.shared = None;
        }
        let (driver, _) = kept.idle.pop()?;
        Some(Channel::Http1(driver))
    }

    /// Keeps a connection whose call is over.
    pub(super) fn put(&self, origin: &Origin, driver: Box<Driver>) {
        let mut origins = self.lock();
        if !origins.contains_key(origin) {
            origins.insert(origin.clone(), Kept::default());
        }
        if let Some(kept) = origins.get_mut(origin).filter(|kept| kept.idle.len() < KEPT) {
            kept.idle.push((driver, Instant::now()));
        }
    }

    /// Keeps an HTTP/2 connection for all calls.
    pub(super) fn share(&self, origin: Origin, sender: SendRequest<RequestBody>) {
        self.lock().entry(origin).or_default().shared = Some(sender);
    }

    /// Forgets a shared connection that took no call.
    pub(super) fn forget(&self, origin: &Origin) {
        if let Some(kept) = self.lock().get_mut(origin) {
            kept.shared = None;
        }
    }

    /// Closes what was not used for long.
    pub(super) fn tidy(&self) {
        let now = Instant::now();
        let mut closing = Vec::new();
        self.lock().retain(|_, kept| {
            let fresh = kept.idle.partition_point(|(_, since)| now.duration_since(*since) > KEPT_FOR);
            closing.extend(kept.idle.drain(..fresh));
            !kept.idle.is_empty() || kept.shared.is_some()
        });
        // Sockets are closed here, outside of the lock.
        drop(closing);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Origin, Kept>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
