//! Deletes what the operator asked not to be kept; nothing otherwise.

use tokio_util::sync::CancellationToken;
use verbatim_core::ports::{PortResult, Retention};

use crate::{Ports, RecorderConfig};

pub(crate) async fn run(config: RecorderConfig, ports: Ports, token: CancellationToken) -> PortResult<()> {
    if config.retention == Retention::default() {
        return Ok(());
    }
    while !token.is_cancelled() {
        match enforce(&config, &ports).await {
            Ok(()) => {}
            Err(error) if error.is_transient() => tracing::warn!(%error, "can't enforce retention now"),
            Err(error) => return Err(error),
        }
        tokio::select! { () = tokio::time::sleep(config.retention_every) => {}, () = token.cancelled() => {} }
    }
    Ok(())
}

async fn enforce(config: &RecorderConfig, ports: &Ports) -> PortResult<()> {
    let erased = ports.archive.enforce(config.retention, ports.clock.now()).await?;
    if erased.exchanges > 0 || erased.bodies > 0 {
        tracing::info!(
            exchanges = erased.exchanges,
            bodies = erased.bodies,
            bytes = erased.bytes,
            "deleted what was past its retention"
        );
    }
    Ok(())
}
