//! How long and how much.

use std::path::PathBuf;
use std::time::Duration;

use super::ConfigError;

const MIB: usize = 1024 * 1024;

/// How long a call may take, and what of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect to a provider, TLS included.
    pub connect: Duration,
    /// From the request's last byte to the head of the answer; until the request has passed, `idle` counts.
    pub first_byte: Duration,
    /// Between two chunks of either body; a caller that takes nothing of its answer has as long.
    pub idle: Duration,
    /// The whole call.
    pub total: Duration,
    /// A graceful shutdown waits so long for calls under way, and for their callers to take the rest of the answers.
    pub drain: Duration,
    /// The capture log (or the spool) has so long to confirm a message. A call whose record is required waits three times
    /// as long for it.
    pub acknowledge: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(300),
            idle: Duration::from_secs(300),
            total: Duration::from_secs(600),
            drain: Duration::from_secs(30),
            acknowledge: Duration::from_secs(2),
        }
    }
}

impl Timeouts {
    /// A record that is required is waited for no longer: both lanes were tried by then.
    pub(crate) fn recorded(&self) -> Duration {
        self.acknowledge.saturating_mul(3)
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        above_zero(&[
            ("timeouts.connect", self.connect),
            ("timeouts.first_byte", self.first_byte),
            ("timeouts.idle", self.idle),
            ("timeouts.total", self.total),
            ("timeouts.acknowledge", self.acknowledge),
        ])
    }
}

pub(super) fn above_zero(times: &[(&'static str, Duration)]) -> Result<(), ConfigError> {
    match times.iter().find(|(_, duration)| duration.is_zero()) {
        Some((key, _)) => Err(ConfigError::new(key, "0", "a duration above zero")),
        None => Ok(()),
    }
}

/// How many bytes may wait in memory to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Bytes of all exchanges.
    pub total: usize,
    /// Bytes of one exchange.
    pub exchange: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { total: 64 * MIB, exchange: 8 * MIB }
    }
}

impl QueueLimits {
    /// A chunk can be as long as the read buffer, and one that fits no budget could never be recorded.
    const LEAST: usize = MIB;

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let least = |key, bytes: usize| {
            let expected = format!("at least {} bytes", Self::LEAST);
            if bytes < Self::LEAST { Err(ConfigError::new(key, bytes, expected)) } else { Ok(()) }
        };
        least("queue.total", self.total)?;
        least("queue.exchange", self.exchange)
    }
}

/// How much may wait on disk to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolLimits {
    /// Bytes that the spool may hold.
    pub max_bytes: u64,
    /// Where it is, to watch the free space there.
    pub directory: Option<PathBuf>,
    /// Bytes that must stay free on that disk.
    pub min_free_bytes: u64,
}

impl Default for SpoolLimits {
    fn default() -> Self {
        Self { max_bytes: 1 << 30, directory: None, min_free_bytes: 256 << 20 }
    }
}
