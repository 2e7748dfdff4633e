//! Messages that can't be processed.

use verbatim_core::ports::{DeadLetter, PortResult};

use crate::Ports;

/// Stores messages with the dead letters, and counts them once they are there.
pub(crate) async fn set_aside(ports: &Ports, letters: Vec<DeadLetter>) -> PortResult<()> {
    let many = letters.len() as u64;
    ports.log.dead_letter(letters).await?;
    metrics::counter!("verbatim_recorder_dead_letters_total").increment(many);
    Ok(())
}
