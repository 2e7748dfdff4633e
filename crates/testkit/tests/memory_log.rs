//! The model keeps the contract that it is the measure of.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use verbatim_core::ports::CaptureLog;
use verbatim_testkit::MemoryLog;
use verbatim_testkit::capture_log::LogWorld;

struct World(Arc<MemoryLog>);

#[async_trait]
impl LogWorld for World {
    async fn open(&self) -> Arc<dyn CaptureLog> {
        self.0.restart();
        self.0.clone()
    }

    async fn close(&self) {}

    async fn kill(&self) {}
}

fn world(acknowledgement_wait: Duration) -> Box<dyn LogWorld> {
    Box::new(World(Arc::new(MemoryLog::new(acknowledgement_wait))))
}

verbatim_testkit::capture_log_contract!(world);
