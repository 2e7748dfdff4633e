//! How things look: figures, times, rows, text. Pure functions from records to what templates print.

pub(crate) mod code;
pub(crate) mod conversation;
pub(crate) mod format;
pub(crate) mod leg;
pub(crate) mod markdown;
pub(crate) mod playback;
pub(crate) mod row;
pub(crate) mod spot;
pub(crate) mod timeline;
pub(crate) mod zone;
