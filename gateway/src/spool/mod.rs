//! What could not go to the capture log at once: kept on disk, and sent on once the log is back.
//!
//! An exchange lies in the spool as it would in the log, its end naming the sequences it has there. Where it began
//! in the log, its first message in the spool names what the log holds of it. To replay is to send its messages to
//! the log, and then an end that names where they stand now.

mod batches;
mod disk;
mod index;
mod leftovers;
mod plan;
mod replay;

pub(crate) use disk::watch_disk;
pub(crate) use index::SpoolIndex;
pub(crate) use replay::{Replayer, ReplayerConfig};

/// The gateway's name on every message in the spool, whoever wrote it, so that a later process finds it. The
/// envelopes keep the name of the process that wrote them.
pub(crate) const SPOOLED: &str = "spool";
/// The name on messages that say that an exchange was taken to the log and goes on there: what stands before them of it
/// is not needed.
pub(crate) const RETURNED: &str = "spool-returned";
/// The name on messages that say how far the replay of an exchange has come.
const PROGRESS: &str = "spool-progress";
