//! Servers' addresses, and what may be shown of them.

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::config::{Config, Credentials, Secret};
use crate::error::NatsLogError;

/// Where the servers are and who we are to them. The addresses hold no credentials.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) addresses: Vec<ServerAddr>,
    pub(crate) credentials: Credentials,
    /// For people: hosts and ports.
    pub(crate) shown: String,
}

impl Servers {
    pub(crate) fn new(config: &Config) -> Result<Self, NatsLogError> {
        let (mut addresses, mut shown) = (Vec::new(), Vec::new());
        let mut credentials = config.credentials.clone();
        let servers: Vec<&str> = config.servers.iter().flat_map(|servers| servers.split(',')).collect();
        for (place, server) in servers.iter().map(|server| server.trim()).enumerate() {
            // The text itself may hold a password.
            let wrong = |why: &str| {
                let which = format!("server {} of {}", place + 1, servers.len());
                NatsLogError::Config(format!("{which}: {why}; expected nats://host:4222 or tls://host:4222"))
            };
            let text = if server.contains("://") { server.to_owned() } else { format!("nats://{server}") };
            let mut url = Url::parse(&text).map_err(|error| wrong(&error.to_string()))?;
            let is_more = !matches!(url.path(), "" | "/") || url.query().is_some();
            if !matches!(url.scheme(), "nats" | "tls") || url.host_str().is_none_or(str::is_empty) || is_more
            {
                return Err(wrong("not the address of a NATS server"));
            }
            if let Some(named) =
                take_credentials(&mut url).map_err(|()| wrong("its credentials are no text"))?
            {
                if credentials != Credentials::Anonymous && credentials != named {
                    return Err(wrong("credentials stand in the address and elsewhere"));
                }
                credentials = named;
            }
            let address = ServerAddr::from_url(url).map_err(|error| wrong(&error.to_string()))?;
            shown.push(format!("{}:{}", address.host(), address.port()));
            addresses.push(address);
        }
        if addresses.is_empty() {
            return Err(NatsLogError::Config("no server is named; expected nats://host:4222".to_owned()));
        }
        Ok(Self { addresses, credentials, shown: shown.join(", ") })
    }
}

/// Takes user information out of an address: a user and a password, or a token alone.
fn take_credentials(url: &mut Url) -> Result<Option<Credentials>, ()> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| ());
    let user = decode(url.username())?;
    let password = url.password().map(decode).transpose()?;
    url.set_username("")?;
    url.set_password(None)?;
    Ok(match (user.is_empty(), password) {
        (true, None) => None,
        (_, Some(password)) => Some(Credentials::Password { user, password: Secret::new(password) }),
        (false, None) => Some(Credentials::Token(Secret::new(user))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(addresses: &[&str]) -> Result<Servers, NatsLogError> {
        Servers::new(&Config::new(addresses.iter().copied()))
    }

    #[test]
    fn credentials_in_an_address_are_used_and_never_shown() {
        let found = servers(&["nats://ann:p%40ss@one:4222, two"]).unwrap();
        assert_eq!(found.shown, "one:4222, two:4222");
        let password = Secret::new("p@ss");
        assert_eq!(found.credentials, Credentials::Password { user: "ann".into(), password });
        assert!(!format!("{found:?}").contains("p@ss") && !format!("{found:?}").contains("p%40ss"));
        assert_eq!(servers(&["tls://tok@one"]).unwrap().credentials, Credentials::Token(Secret::new("tok")));
    }

    #[test]
    fn wrong_addresses_are_refused_without_being_shown() {
        for wrong in ["http://ann:hidden@one", "nats://ann:hidden@:1:2", "nats://hidden@one/nats://two"] {
            let error = servers(&[wrong]).unwrap_err().to_string();
            assert!(error.contains("expected nats://host:4222") && !error.contains("hidden"), "{error}");
        }
        assert!(servers(&[]).is_err());
        let two = servers(&["nats://ann:a@one", "nats://ann:b@two"]).unwrap_err().to_string();
        assert!(two.contains("server 2 of 2"), "{two}");
    }
}
