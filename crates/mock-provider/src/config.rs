//! How a mock provider is set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use verbatim_core::ports::{Clock, SystemClock};

use crate::directives::Directives;
use crate::ledger::LedgerOptions;

/// How a mock provider is set up. [`Config::default`] listens on a free port of the loopback address, answers
/// at once, and keeps every ledger entry with its headers in memory.
#[derive(Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What is kept of each exchange.
    pub ledger: LedgerOptions,
    /// How calls are answered that say nothing else in `x-mock`. A directive of the header wins over the same
    /// one here.
    pub defaults: Directives,
    /// Recorded traffic (JSON lines) that calls with `x-mock-replay: N` are answered from.
    pub replay: Option<PathBuf>,
    /// Answers `POST .../chat/completions` with fixed bytes without reading what was asked (`"stream":true` is
    /// still honoured with a stream of 50 chunks), and only counts these calls in the ledger. For benchmarks.
    pub minimal: bool,
    /// Tells the time in the ledger.
    pub clock: Arc<dyn Clock>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            ledger: LedgerOptions::default(),
            defaults: Directives::default(),
            replay: None,
            minimal: false,
            clock: Arc::new(SystemClock),
        }
    }
}
