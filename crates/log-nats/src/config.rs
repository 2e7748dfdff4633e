//! How the log is reached and kept.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::address::Servers;
use crate::error::NatsLogError;

/// A value that never shows in logs and errors.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `value` from being shown.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, to be used and not to be shown.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Who we are to the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Credentials {
    /// Nobody in particular, or whoever the server's address names (`nats://user:password@host`, `nats://token@host`).
    #[default]
    Anonymous,
    /// A user with a password.
    Password {
        /// The user's name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A bearer of a token.
    Token(Secret),
    /// An NKEY user, by its seed (`SU...`).
    Nkey(Secret),
    /// A user with JWT and seed in a credentials file, as `nsc` writes them.
    File(PathBuf),
}

/// What a client shows a server that asks for certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// How the connection is protected. A server that wants TLS gets it whatever stands here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// Refuses a server that offers no TLS.
    pub required: bool,
    /// Authorities to trust, PEM; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// What to show a server that asks for it.
    pub client: Option<ClientCertificate>,
}

/// Settings of one log. [`Config::new`] gives those that fit one server without credentials.
#[derive(Debug, Clone)]
pub struct Config {
    /// Servers of one cluster, `nats://host:4222` or `tls://host:4222`, each text one or several with commas
    /// between them; more are learned from them.
    pub servers: Vec<String>,
    /// Who we are.
    pub credentials: Credentials,
    /// How the connection is protected.
    pub tls: Tls,
    /// How many servers keep each message, 1, 3 or 5. Counts when the streams are made; an existing stream keeps what it
    /// has.
    pub replicas: u8,
    /// The stream takes so many bytes at most; 0: the account's limit. The last sixteenth of it, or 4 MiB where that is
    /// more, stays free, and messages that need it are refused. Counts when the stream is made; an existing one keeps
    /// what it has.
    pub max_bytes: u64,
    /// What is not acknowledged for so long is delivered again. A property of the consumers, which all processes share:
    /// it must be the same everywhere. Counts when they are made; [`migrate`](crate::migrate) changes it later.
    pub acknowledgement_wait: Duration,
    /// What the server does not answer within so long has failed, for now.
    pub answer_within: Duration,
    /// A server that can't be reached at the start is tried for so long.
    pub connect_within: Duration,
}

impl Config {
    /// The settings for these servers.
    pub fn new<S: Into<String>>(servers: impl IntoIterator<Item = S>) -> Self {
        Self {
            servers: servers.into_iter().map(Into::into).collect(),
            credentials: Credentials::Anonymous,
            tls: Tls::default(),
            replicas: 1,
            max_bytes: 4 << 30,
            acknowledgement_wait: Duration::from_secs(60),
            answer_within: Duration::from_secs(5),
            connect_within: Duration::from_secs(60),
        }
    }

    /// Whether the servers' addresses can be used, and who we are is said once; opens nothing.
    ///
    /// # Errors
    /// [`NatsLogError::Config`]; it shows no credentials.
    pub fn validate(&self) -> Result<(), NatsLogError> {
        Servers::new(self).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show() {
        let config = Config {
            credentials: Credentials::Password { user: "ann".into(), password: Secret::new("s3cret") },
            ..Config::new(["nats://127.0.0.1:4222"])
        };
        let shown = format!("{config:?}");
        assert!(shown.contains("ann") && !shown.contains("s3cret"), "{shown}");
    }
}
