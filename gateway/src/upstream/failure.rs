//! Why a provider gave no answer.

use std::error::Error;
use std::io;
use std::time::Duration;

/// A call that got no answer's head.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The URL lacks scheme or host.
    #[error("the provider's URL has no scheme or host")]
    NoOrigin,
    /// There is no way to it.
    #[error("can't connect to the provider: {}", chain(&**.0))]
    Connect(Box<dyn Error + Send + Sync>),
    /// It did not take the connection in time.
    #[error("can't connect to the provider within {0:?}")]
    ConnectTimeout(Duration),
    /// It closed a new connection without reading.
    #[error("the provider closed the connection before the call was sent")]
    ClosedAtOnce,
    /// It agreed to leave HTTP, but not for what.
    #[error("the provider switched protocols without naming one")]
    NoProtocol,
    /// It broke the call off, or answered with what is not HTTP.
    #[error("the provider gave no answer: {}", chain(.0))]
    Call(hyper::Error),
}

/// An error with its causes, in a line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !line.ends_with(&said) {
            line.push_str(": ");
            line.push_str(&said);
        }
        cause = error.source();
    }
    line
}

/// Whether the other side reset the connection, rather than closing it.
pub(crate) fn is_reset(error: &(dyn Error + 'static)) -> bool {
    let here = error.downcast_ref::<io::Error>();
    if here.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionReset) {
        return true;
    }
    // An I/O error that wraps another names that one's cause as its own, and so passes it over.
    let inner = here.and_then(io::Error::get_ref).map(|error| error as &(dyn Error + 'static));
    inner.or_else(|| error.source()).is_some_and(is_reset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_is_told_from_other_ends_however_deep_it_is() {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let wrapped = io::Error::other(reset);
        assert!(is_reset(&wrapped));
        assert!(!is_reset(&io::Error::from(io::ErrorKind::UnexpectedEof)));
    }
}
