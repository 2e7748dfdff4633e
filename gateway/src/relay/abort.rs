//! How a call that can't be finished is broken off, so that nobody takes what came for the whole.

use std::error::Error;
use std::fmt;

/// Why an answer's body ends before its end. hyper closes an HTTP/1 connection and resets an HTTP/2 stream for it.
#[derive(Debug)]
pub(crate) enum Abort {
    /// The provider broke off, or a time ran out.
    Cut,
    /// The call's record could not be kept, which was required.
    Unrecorded,
}

impl fmt::Display for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "the answer was cut short",
            Self::Unrecorded => "the call could not be recorded",
        })
    }
}

impl Error for Abort {}
