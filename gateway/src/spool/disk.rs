//! Keeps the spool from filling its disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::health::Gauges;

const EVERY: Duration = Duration::from_secs(1);

/// Looks at the free space until `stop`: where less than `least` bytes are left, the spool counts as full.
pub(crate) async fn watch_disk(directory: PathBuf, least: u64, gauges: Arc<Gauges>, stop: CancellationToken) {
    let mut ticks = interval(EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        match rustix::fs::statvfs(&directory) {
            Ok(disk) => {
                let low = disk.f_bavail.saturating_mul(disk.f_frsize) < least;
                if low != gauges.disk_low.swap(low, Relaxed) {
                    tracing::warn!(low, directory = %directory.display(), "free space for the spool");
                }
            }
            Err(error) => tracing::warn!(%error, "the free space for the spool can't be told"),
        }
    }
}
