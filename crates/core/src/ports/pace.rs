//! When work that nobody waits for may go on.

use std::time::Duration;

use async_trait::async_trait;

/// What a turn is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// As much work as there is.
    Free,
    /// A little: the machine is wanted for more urgent work, and this one came so that nothing waits for ever.
    Squeezed,
}

/// Lets work of which nobody notices when it is done yield to work that somebody waits for.
#[async_trait]
pub trait Pace: Send + Sync + 'static {
    /// Waits for a turn. It comes at once, unless the machine is wanted for more urgent work; then it comes after
    /// `rest` all the same.
    async fn turn(&self, rest: Duration) -> Turn;
}

/// There is nothing to yield to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unpaced;

#[async_trait]
impl Pace for Unpaced {
    async fn turn(&self, _rest: Duration) -> Turn {
        Turn::Free
    }
}
