//! Why the log can't be opened, and what to do about it.

use std::time::Duration;

use verbatim_core::ports::PortError;

/// Why the log can't be opened. Addresses are shown without credentials.
#[derive(Debug, thiserror::Error)]
pub enum NatsLogError {
    /// The configuration can't be right.
    #[error("NATS configuration: {0}")]
    Config(String),
    /// Nobody answers, or not as it should for now. Waiting can help.
    #[error(
        "NATS at {address} can't be used now: {why}. Check that nats-server runs there and can be reached"
    )]
    Unreachable {
        /// Where.
        address: String,
        /// What happened.
        why: String,
    },
    /// The server is older than what we need, or one of those with a fault that would lose messages.
    #[error(
        "NATS at {address} is version {found}; expected {} or newer. Upgrade nats-server",
        crate::connect::OLDEST_SHOWN
    )]
    TooOld {
        /// Where.
        address: String,
        /// The version that it says it is.
        found: String,
    },
    /// The server, or our account on it, has no JetStream.
    #[error(
        "NATS at {address} has no JetStream ({why}). Start nats-server with `-js` or a `jetstream` block, and enable \
         JetStream for the account"
    )]
    NoJetStream {
        /// Where.
        address: String,
        /// What the server said.
        why: String,
    },
    /// The server does not let us in.
    #[error(
        "NATS at {address} refused the credentials ({why}). Check user and password, token, NKEY seed or credentials \
         file, and the permissions on `cap.>`, `dlq.>`, `verbatim.>`, `$JS.>` and `_INBOX.>`"
    )]
    Refused {
        /// Where.
        address: String,
        /// What the server said.
        why: String,
    },
    /// No protected connection comes about.
    #[error(
        "NATS at {address}: TLS failed: {why}. Check the CA file, the name in the server's certificate, and the client \
         certificate if the server asks for one"
    )]
    Tls {
        /// Where.
        address: String,
        /// What failed.
        why: String,
    },
    /// A stream or consumer of our name has settings with which the log would not keep its promises.
    #[error(
        "NATS at {address}: {what} has {setting} = {found}; expected {expected}. Someone else made or changed it: \
         correct it with `nats {}`, or delete it if nothing in it is needed, and start again",
        remedy(what)
    )]
    Foreign {
        /// Where.
        address: String,
        /// `stream CAP` or `consumer recorder of stream CAP`.
        what: String,
        /// The setting, as JetStream names it.
        setting: String,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A consumer waits another time for acknowledgements than is configured, which all processes have to agree on.
    #[error(
        "NATS at {address}: {what} waits {found:?} for an acknowledgement, and {expected:?} is configured ([nats] \
         acknowledgement_wait). To change it, run `verbatim migrate` with that setting, and give it to every role; to keep \
         it, set {found:?}"
    )]
    OtherWait {
        /// Where.
        address: String,
        /// `consumer recorder of stream CAP`.
        what: String,
        /// How long it waits.
        found: Duration,
        /// How long it is to wait.
        expected: Duration,
    },
    /// JetStream would not make what the log needs.
    #[error("NATS at {address} would not make {what}: {why}")]
    NotMade {
        /// Where.
        address: String,
        /// `stream CAP` or `consumer recorder of stream CAP`.
        what: String,
        /// What the server said, and what to do.
        why: String,
    },
}

fn remedy(what: &str) -> &'static str {
    if what.starts_with("stream") { "stream edit" } else { "consumer edit" }
}

impl NatsLogError {
    /// Whether waiting may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

impl From<NatsLogError> for PortError {
    fn from(error: NatsLogError) -> Self {
        match error.is_transient() {
            true => Self::Transient(error.to_string()),
            false => Self::Permanent(error.to_string()),
        }
    }
}
