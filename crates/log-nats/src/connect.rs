//! Gets a connection to a server that is fit for the log.

use std::error::Error;
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, rustls};
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::address::Servers;
use crate::config::{Config, Credentials};
use crate::error::NatsLogError;
use crate::events::Events;
use crate::requests::{ApiFailure, Requests};

/// The oldest server that will do.
const OLDEST: (u64, u64, u64) = (2, 9, 0);
/// These forget what consumers hold whenever the stream is purged: it would never be delivered again.
const FORGETFUL: RangeInclusive<(u64, u64, u64)> = (2, 9, 12)..=(2, 9, 14);
/// [`OLDEST`], for people.
pub(crate) const OLDEST_SHOWN: &str = "2.9.0 (but not 2.9.12 to 2.9.14, which forget deliveries)";
/// Messages of one subscription that wait to be looked at; the client drops what is more. Above all that can be on
/// the way at once.
const SUBSCRIPTION: usize = 32 * 1024;
/// Messages that wait to be sent. Behind a server that reads nothing, what was given up waits here, too.
const SENDING: usize = 256;
/// A connection of which nothing is heard for three times as long is broken.
const PING: Duration = Duration::from_secs(5);
const ATTEMPT: Duration = Duration::from_secs(5);
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(2);
/// `JetStream not enabled`, `JetStream not enabled for account`.
const NOT_ENABLED: [u16; 2] = [10076, 10039];

/// A connection, its requests and what it tells.
pub(crate) struct Connected {
    pub(crate) requests: Requests,
    pub(crate) events: Arc<Events>,
    /// Hands out answers.
    pub(crate) tasks: JoinSet<()>,
}

/// What is done with a server before it is used.
pub(crate) type Prepare<T> = for<'a> fn(&'a Requests, &'a Config) -> BoxFuture<'a, Result<T, NatsLogError>>;

/// Connects, checks the server and prepares what is on it; tries again while that can help and there is time.
pub(crate) async fn connect<T>(config: &Config, prepare: Prepare<T>) -> Result<(Connected, T), NatsLogError> {
    let servers = Servers::new(config)?;
    let give_up = Instant::now() + config.connect_within;
    let mut tries = 0;
    loop {
        match attempt(config, &servers, prepare).await {
            Err(error) if error.is_transient() && Instant::now() < give_up => {
                tracing::warn!(%error, "waiting for the capture log");
                tries += 1;
                sleep(delay(tries).min(give_up - Instant::now())).await;
            }
            connected => return connected,
        }
    }
}

async fn attempt<T>(
    config: &Config,
    servers: &Servers,
    prepare: Prepare<T>,
) -> Result<(Connected, T), NatsLogError> {
    let events = Events::new();
    let client = client(config, servers, SUBSCRIPTION, Arc::clone(&events)).await?;
    check_version(servers, &client.server_info().version)?;
    let unreachable = |why: String| NatsLogError::Unreachable { address: servers.shown.clone(), why };
    let (requests, answers) =
        Requests::new(client, &servers.shown).await.map_err(|error| unreachable(error.to_string()))?;
    let mut tasks = JoinSet::new();
    tasks.spawn(requests.clone().deliver(answers));
    let ready = async {
        check_jetstream(&requests, config.answer_within).await?;
        prepare(&requests, config).await
    };
    let prepared = ready.await.map_err(|error| match (error, events.refusal()) {
        // A request that is not allowed has no answer; the reason comes beside it.
        (NatsLogError::Unreachable { address, .. }, Some(why)) => NatsLogError::Refused { address, why },
        (error, _) => error,
    })?;
    Ok((Connected { requests, events, tasks }, prepared))
}

/// A client that connects for ever. `subscription` is how many messages each of its subscriptions may hold.
pub(crate) async fn client(
    config: &Config,
    servers: &Servers,
    subscription: usize,
    events: Arc<Events>,
) -> Result<Client, NatsLogError> {
    let options = ConnectOptions::new()
        .name("verbatim")
        .subscription_capacity(subscription)
        .client_capacity(SENDING)
        .connection_timeout(ATTEMPT)
        .ping_interval(PING)
        // Subjects are made here, of tokens that are safe.
        .skip_subject_validation(true)
        .reconnect_delay_callback(delay)
        .event_callback(move |event| {
            events.happened(&event);
            std::future::ready(())
        });
    let options = with_tls(with_credentials(options, &servers.credentials).await?, config).await?;
    let connected = options.connect(servers.addresses.as_slice()).await;
    connected.map_err(|error| {
        let (address, why) = (servers.shown.clone(), error.to_string());
        match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                NatsLogError::Refused { address, why }
            }
            ConnectErrorKind::Tls => NatsLogError::Tls { address, why },
            // What we make of the server's certificate, and what it makes of ours.
            ConnectErrorKind::Io if is_of_tls(&error) => NatsLogError::Tls { address, why },
            ConnectErrorKind::ServerParse => NatsLogError::Config(why),
            ConnectErrorKind::Dns
            | ConnectErrorKind::TimedOut
            | ConnectErrorKind::Io
            | ConnectErrorKind::MaxReconnects => NatsLogError::Unreachable { address, why },
        }
    })
}

/// Whether TLS is at the bottom of an error. An input/output error keeps what is inside it from `source`.
fn is_of_tls(error: &ConnectError) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if error.is::<rustls::Error>() || inside.is_some_and(|inside| inside.is::<rustls::Error>()) {
            return true;
        }
        cause = error.source();
    }
    false
}

async fn with_credentials(
    options: ConnectOptions,
    credentials: &Credentials,
) -> Result<ConnectOptions, NatsLogError> {
    Ok(match credentials {
        Credentials::Anonymous => options,
        Credentials::Password { user, password } => {
            options.user_and_password(user.clone(), password.expose().to_owned())
        }
        Credentials::Token(token) => options.token(token.expose().to_owned()),
        Credentials::Nkey(seed) => options.nkey(seed.expose().to_owned()),
        Credentials::File(path) => {
            readable("credentials file", path).await?;
            options.credentials_file(path).await.map_err(|error| {
                NatsLogError::Config(format!("credentials file {}: {error}", path.display()))
            })?
        }
    })
}

async fn with_tls(mut options: ConnectOptions, config: &Config) -> Result<ConnectOptions, NatsLogError> {
    let tls = &config.tls;
    if tls.required {
        options = options.require_tls(true);
    }
    if let Some(ca) = &tls.ca {
        readable("CA file", ca).await?;
        options = options.add_root_certificates(ca.clone());
    }
    if let Some(client) = &tls.client {
        readable("client certificate", &client.certificate).await?;
        readable("client key", &client.key).await?;
        options = options.add_client_certificate(client.certificate.clone(), client.key.clone());
    }
    Ok(options)
}

/// Tells which file is missing; the client library only says that one is.
async fn readable(what: &str, path: &Path) -> Result<(), NatsLogError> {
    let opened = tokio::fs::File::open(path).await;
    opened.map(|_| ()).map_err(|error| NatsLogError::Config(format!("{what} {}: {error}", path.display())))
}

fn check_version(servers: &Servers, version: &str) -> Result<(), NatsLogError> {
    if parse_version(version).is_some_and(will_do) {
        return Ok(());
    }
    Err(NatsLogError::TooOld { address: servers.shown.clone(), found: version.to_owned() })
}

fn will_do(version: (u64, u64, u64)) -> bool {
    version >= OLDEST && !FORGETFUL.contains(&version)
}

/// The three numbers of a version, whatever follows them.
fn parse_version(version: &str) -> Option<(u64, u64, u64)> {
    let mut numbers = version.trim_start_matches('v').splitn(3, '.').map(|part| {
        let digits = part.find(|c: char| !c.is_ascii_digit()).map_or(part, |end| &part[..end]);
        digits.parse().ok()
    });
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

async fn check_jetstream(requests: &Requests, within: Duration) -> Result<(), NatsLogError> {
    #[derive(Deserialize)]
    struct Account {}
    let address = || requests.shown().to_owned();
    match requests.api::<Account>("INFO", &json!({}), within).await {
        Ok(Account {}) => Ok(()),
        Err(ApiFailure::Api(error)) if NOT_ENABLED.contains(&error.err_code) => {
            Err(NatsLogError::NoJetStream { address: address(), why: error.to_string() })
        }
        Err(ApiFailure::Api(error)) => {
            Err(NatsLogError::Unreachable { address: address(), why: error.to_string() })
        }
        // One server of a cluster need not have it.
        Err(ApiFailure::Port(error)) => match requests.client().server_info() {
            info if !info.jetstream && info.cluster.is_none() && requests.is_connected() => {
                Err(NatsLogError::NoJetStream { address: address(), why: "it is not enabled".to_owned() })
            }
            _ => Err(NatsLogError::Unreachable { address: address(), why: error.to_string() }),
        },
    }
}

/// How long to wait before trying for the so-many-th time.
fn delay(tries: usize) -> Duration {
    let doublings = u32::try_from(tries.saturating_sub(1)).unwrap_or(u32::MAX).min(10);
    (FIRST_DELAY * 2_u32.pow(doublings)).min(LONGEST_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, fits) in [
            ("2.9.10", true),
            ("2.10.1", true),
            ("v3.0.0-beta.1", true),
            ("2.9.0-RC", true),
            ("2.9.14", false),
            ("2.9.15", true),
            ("2.8.4", false),
            ("", false),
        ] {
            let found = parse_version(version).is_some_and(will_do);
            assert_eq!(found, fits, "{version}");
        }
    }

    #[test]
    fn waiting_grows_and_stays_bounded() {
        assert_eq!(delay(1), FIRST_DELAY);
        assert_eq!(delay(3), FIRST_DELAY * 4);
        assert_eq!(delay(usize::MAX), LONGEST_DELAY);
    }
}
