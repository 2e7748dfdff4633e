//! The address of an engine, which may hold a password.

use std::fmt;
use std::str::FromStr;

use super::{Secret, Unreadable, Written};

/// Where an engine is. Shown without whoever is named in it; whether it can be used, its adapter says.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct EngineUrl(String);

impl EngineUrl {
    /// The address as it was given, credentials included: for the one who connects.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl Written for EngineUrl {
    const EXPECTED: &'static str = "the engine's address, such as \"nats://127.0.0.1:4222\", \
                                    \"postgres://verbatim@127.0.0.1/verbatim\" or \"http://127.0.0.1:7700\"";
}

impl FromStr for EngineUrl {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        if text.is_empty() { Err(Unreadable) } else { Ok(Self(text.to_owned())) }
    }
}

impl fmt::Display for EngineUrl {
    /// Everything before the last `@`, and every parameter, may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else { return f.write_str(Secret::MASK) };
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        let place = place.split_once(['?', '#']).map_or(place, |(place, _)| place);
        match place.len() == rest.len() {
            true => f.write_str(&self.0),
            false => write!(f, "{scheme}://{}@{place}", Secret::MASK),
        }
    }
}

impl fmt::Debug for EngineUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_place_is_shown() {
        for (given, shown) in [
            ("nats://one:4222,nats://two:4222", "nats://one:4222,nats://two:4222"),
            ("nats://ann:hidden@one,nats://ann:hidden@two:4", "nats://********@two:4"),
            ("postgres://ann:hid@den/hidden@db:5432/records", "postgres://********@db:5432/records"),
            ("postgres://db/records?password=hidden", "postgres://********@db/records"),
            ("host=db password=hidden", "********"),
            ("http://127.0.0.1:7700", "http://127.0.0.1:7700"),
        ] {
            let url: EngineUrl = given.parse().unwrap();
            assert_eq!((url.to_string(), format!("{url:?}")), (shown.to_owned(), shown.to_owned()));
            assert_eq!(url.reveal(), given);
        }
    }
}
