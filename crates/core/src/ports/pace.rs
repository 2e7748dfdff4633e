//! When work that nobody waits for may go on.

use std::time::Duration;

use async_trait::async_trait;

/// Lets work of which nobody notices when it is done yield to work that somebody waits for.
#[async_trait]
pub trait Pace: Send + Sync + 'static {
    /// Waits for a turn. It comes at once, unless the machine is wanted for more urgent work; then it comes after
    /// `rest` all the same, so that nothing waits for ever.
    async fn turn(&self, rest: Duration);
}

/// There is nothing to yield to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unpaced;

#[async_trait]
impl Pace for Unpaced {
    async fn turn(&self, _rest: Duration) {}
}
