//! Ports in memory, for tests of the web role and its preview.

mod archive;
mod control;
mod index;
mod live;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use archive::MemoryArchive;
pub use control::MemoryControl;
pub use index::MemoryIndex;
pub use live::MemoryLive;
use verbatim_core::model::ExchangeRecord;
use verbatim_core::ports::{PortError, PortResult, SystemClock};
use verbatim_web::{GatewayFigures, PipelineHealth, Ports};

/// A switch that makes a port fail.
#[derive(Debug, Default)]
pub struct Switch(AtomicBool);

impl Switch {
    pub fn set(&self, down: bool) {
        self.0.store(down, Ordering::SeqCst);
    }

    pub fn check(&self) -> PortResult<()> {
        if self.0.load(Ordering::SeqCst) {
            return Err(PortError::Transient("switched off by the test".to_owned()));
        }
        Ok(())
    }
}

/// A gateway that says what it is told to say.
#[derive(Debug, Default)]
pub struct Gateway(pub GatewayFigures);

impl PipelineHealth for Gateway {
    fn gateway(&self) -> Option<GatewayFigures> {
        Some(self.0)
    }
}

/// Everything in memory.
#[derive(Clone, Default)]
pub struct World {
    pub archive: Arc<MemoryArchive>,
    pub control: Arc<MemoryControl>,
    pub index: Arc<MemoryIndex>,
    pub live: Arc<MemoryLive>,
}

impl World {
    pub fn add(&self, record: ExchangeRecord) {
        self.index.add(&record);
        self.archive.add(record);
    }

    pub fn ports(&self, figures: GatewayFigures) -> Ports {
        Ports {
            archive: self.archive.clone(),
            control: self.control.clone(),
            index: Some(self.index.clone()),
            live: Some(self.live.clone()),
            log: None,
            clock: Arc::new(SystemClock),
            health: Arc::new(Gateway(figures)),
            render_metrics: Arc::new(|| "# TYPE verbatim_test counter\nverbatim_test 1\n".to_owned()),
        }
    }
}
