//! Two runtimes: one that relays, and one that records, at lower priority.
//!
//! Both want the processor when there is much to do, and the caller must never pay for recording.

use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

/// The `nice` value of the recording side's threads.
const YIELDING: i32 = 10;

/// Threads for blocking work of the recording side: without a bound, those that starve under load would multiply, and
/// many of low priority together have a high one.
const BLOCKING: usize = 8;

/// How long blocking work may go on once everything else has ended.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process's runtimes.
#[derive(Debug)]
pub(crate) struct Runtimes {
    relay: Runtime,
    background: Runtime,
}

impl Runtimes {
    /// Starts their threads.
    pub(crate) fn start() -> io::Result<Self> {
        let relay = Builder::new_multi_thread().enable_all().thread_name("relay").build()?;
        let background = Builder::new_multi_thread()
            .enable_all()
            .thread_name("background")
            .max_blocking_threads(BLOCKING)
            .on_thread_start(|| {
                // On Linux this is the thread's own, and its children's; where it fails, recording just competes.
                let _ = rustix::process::setpriority_process(None, YIELDING);
            })
            .build()?;
        Ok(Self { relay, background })
    }

    /// Runs on the relay's runtime until it is done.
    pub(crate) fn run<F: Future>(&self, doing: impl FnOnce(Handle) -> F) -> F::Output {
        self.relay.block_on(doing(self.background.handle().clone()))
    }
}

impl Runtimes {
    /// Ends both.
    pub(crate) fn stop(self) {
        self.background.shutdown_timeout(PATIENCE);
        self.relay.shutdown_timeout(PATIENCE);
    }
}
