//! Memory for bodies, shared by all that reads them.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use verbatim_core::ports::{PortError, PortResult};

use crate::RecorderConfig;

/// What one permit for bytes stands for.
const PERMIT_BYTES: u64 = 1024;

/// What is under way may take, together.
#[derive(Clone)]
pub(crate) struct Room {
    batches: Arc<Semaphore>,
    /// Bytes of bodies, in units of [`PERMIT_BYTES`].
    bytes: Arc<Semaphore>,
    most: u32,
}

impl Room {
    pub(crate) fn new(config: &RecorderConfig) -> Self {
        let most = u32::try_from(config.batch_bytes / PERMIT_BYTES).unwrap_or(u32::MAX).clamp(1, 1 << 28);
        Self {
            batches: Arc::new(Semaphore::new(config.batches_in_flight.max(1))),
            bytes: Arc::new(Semaphore::new(most as usize)),
            most,
        }
    }

    /// Room for bodies of so many bytes, until that is dropped. What is larger than all room has it alone.
    pub(crate) async fn take(&self, bytes: u64) -> PortResult<OwnedSemaphorePermit> {
        let permits = u32::try_from(bytes / PERMIT_BYTES).unwrap_or(u32::MAX).clamp(1, self.most);
        Arc::clone(&self.bytes).acquire_many_owned(permits).await.map_err(closed)
    }

    /// Half of all room, in bytes: who takes that leaves others to go on.
    pub(crate) fn half(&self) -> u64 {
        u64::from(self.most) * PERMIT_BYTES / 2
    }

    /// Archives a batch once it is its turn, and there is room for its bodies.
    pub(crate) async fn with<T>(
        &self,
        bytes: u64,
        work: impl Future<Output = PortResult<T>>,
    ) -> PortResult<T> {
        let _batch = self.batches.acquire().await.map_err(closed)?;
        let _bytes = self.take(bytes).await?;
        work.await
    }
}

fn closed(error: impl std::fmt::Display) -> PortError {
    PortError::permanent("waiting for room to archive a batch", error)
}
