//! What a role may ask of the outside. Adapters implement these; only the composition root knows which.

mod archive;
mod capture_log;
mod clock;
mod control;
mod error;
mod live;
mod pace;
mod search_index;

pub use archive::{
    Archive, ArchiveHealth, Commit, Committed, Deleted, Erased, ListRequest, OpenExchange, OutboxEntry, Page,
    Retention, StatsRequest,
};
pub use capture_log::{
    CaptureLog, Consumer, DeadLetter, Delivery, Floors, Liveness, LogHealth, Message, MessageKind, PullLimit,
    Sequence,
};
pub use clock::{Clock, SystemClock};
pub use control::{Control, Logout};
pub use error::{PortError, PortResult};
pub use live::{Live, LiveMessage};
pub use pace::{Pace, Turn, Unpaced};
pub use search_index::{Hit, IndexHealth, SearchIndex, SearchPage, SearchRequest, Snippet, WriteOutcome};
