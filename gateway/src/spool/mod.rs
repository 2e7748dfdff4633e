//! What could not go to the capture log at once: kept on disk, and sent on once the log is back.

/// The gateway's name on every message in the spool. The envelopes keep the name of the process that wrote them.
pub(crate) const SPOOLED: &str = "spool";
