//! What has to be done now and then, by whoever is there: sums folded, partitions made ahead, an outbox dropped that nobody
//! reads.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio_util::sync::CancellationToken;

use crate::Engine;
use crate::error::Fault;
use crate::records::{keeping, rollup};

/// Until told to stop.
pub(crate) async fn run(engine: Arc<Engine>, every: Duration, token: CancellationToken) {
    let mut ticks = tokio::time::interval(every.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first comes at once; what it would do was done at the start.
    ticks.tick().await;
    let mut told: Option<String> = None;
    loop {
        tokio::select! {
            () = token.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let done = tokio::select! {
            () = token.cancelled() => return,
            done = engine.maintain() => done,
        };
        // Once for each reason, not for each try.
        let fault = done.err().map(|fault| fault.to_string());
        match &fault {
            Some(fault) if told.as_ref() != Some(fault) => {
                tracing::warn!(fault, "the archive's upkeep can't be done now");
            }
            None if told.is_some() => tracing::info!("the archive's upkeep can be done again"),
            _ => {}
        }
        told = fault;
    }
}

impl Engine {
    /// One round.
    pub(crate) async fn maintain(&self) -> Result<(), Fault> {
        let upkeep = &self.database.upkeep;
        upkeep.run(async |client: Object| self.partitions.look(&client).await).await?;
        self.partitions.make_ahead(upkeep, self.clock.now()).await?;
        upkeep.run(rollup::fold).await?;
        let patience = self.outbox_patience;
        upkeep.run(|client: Object| keeping::watch(client, patience)).await
    }
}
