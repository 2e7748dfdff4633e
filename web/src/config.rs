//! What the web role has to be told before it opens a socket.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use url::Url;
use verbatim_listen::{Limits, Network};

/// How the web role is set up.
#[derive(Clone)]
pub struct WebConfig {
    /// Where to listen. Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The one password; empty for none, which is allowed on loopback only.
    pub password: String,
    /// What the dashboard calls itself.
    pub title: String,
    /// The address people reach it by, used in every link and example it prints.
    pub public_url: Option<Url>,
    /// Signs session cookies; keep it, or everybody is logged out at a restart.
    pub session_secret: [u8; 32],
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// How many connections people's browsers may have, and how long one may be open without a request.
    pub connections: Limits,
    /// How long a request may take until its answer begins, its body's way here included: whoever sends none would
    /// otherwise keep a connection from others for as long as they like.
    pub answer_within: Duration,
    /// A browser that takes nothing of an answer for so long is given up.
    pub unread_for: Duration,
    /// The base URL that clients are pointed at: the gateway's, without a path.
    pub gateway_url: String,
}

/// A configuration that will not be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Everyone on the network could read every exchange.
    #[error(
        "web.listen = \"{0}\" is reachable from other machines, but web.password is empty: expected a loopback \
         address (127.0.0.1 or [::1]) or a password; set [web] password or VERBATIM_WEB__PASSWORD"
    )]
    ExposedWithoutPassword(SocketAddr),
    /// Examples and links could not be made from it.
    #[error(
        "web.public_url = \"{0}\": expected an http or https URL with a host, such as https://verbatim.example.com"
    )]
    PublicUrl(String),
}

impl WebConfig {
    /// Listening at `listen`, everything else as it is by default: no password, gateway at its usual address.
    pub fn new(listen: SocketAddr, session_secret: [u8; 32]) -> Self {
        Self {
            listen,
            password: String::new(),
            title: "Verbatim".to_owned(),
            public_url: None,
            session_secret,
            trusted_proxies: Vec::new(),
            connections: Limits { connections: 128, ..Limits::default() },
            answer_within: Duration::from_secs(30),
            unread_for: Duration::from_secs(120),
            gateway_url: "http://127.0.0.1:8080".to_owned(),
        }
    }

    /// Whether this may be served.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.password.is_empty() && !self.listen.ip().to_canonical().is_loopback() {
            return Err(ConfigError::ExposedWithoutPassword(self.listen));
        }
        match &self.public_url {
            Some(url) if !matches!(url.scheme(), "http" | "https") || url.host().is_none() => {
                Err(ConfigError::PublicUrl(url.to_string()))
            }
            _ => Ok(()),
        }
    }
}

/// Secrets are left out.
impl fmt::Debug for WebConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebConfig")
            .field("listen", &self.listen)
            .field("password", &if self.password.is_empty() { "none" } else { "set" })
            .field("title", &self.title)
            .field("public_url", &self.public_url.as_ref().map(Url::as_str))
            .field("trusted_proxies", &self.trusted_proxies)
            .field("connections", &self.connections)
            .field("answer_within", &self.answer_within)
            .field("unread_for", &self.unread_for)
            .field("gateway_url", &self.gateway_url)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(at: &str) -> WebConfig {
        WebConfig::new(at.parse().unwrap(), [0; 32])
    }

    #[test]
    fn loopback_needs_no_password() {
        assert_eq!(listening("127.0.0.1:8081").validate(), Ok(()));
        assert_eq!(listening("[::1]:8081").validate(), Ok(()));
        assert_eq!(listening("[::ffff:127.0.0.1]:8081").validate(), Ok(()));
    }

    #[test]
    fn another_address_without_a_password_is_refused_with_what_to_do() {
        let error = listening("0.0.0.0:8081").validate().unwrap_err();
        assert!(matches!(error, ConfigError::ExposedWithoutPassword(_)));
        let text = error.to_string();
        assert!(text.contains("web.listen") && text.contains("VERBATIM_WEB__PASSWORD"), "{text}");
        assert!(WebConfig { password: "x".to_owned(), ..listening("0.0.0.0:8081") }.validate().is_ok());
    }

    #[test]
    fn a_public_url_needs_a_web_scheme() {
        let config =
            WebConfig { public_url: Some("ftp://x.example".parse().unwrap()), ..listening("[::1]:1") };
        assert!(matches!(config.validate(), Err(ConfigError::PublicUrl(_))));
    }

    #[test]
    fn secrets_stay_out_of_debug_output() {
        let config = WebConfig { password: "hunter2".to_owned(), ..listening("[::1]:1") };
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
