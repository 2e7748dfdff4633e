//! The kinds of value that settings have.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::SignedDuration;
use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use serde::{Serialize, Serializer};
use verbatim_gateway::BaseUrl;

mod engine_url;

pub(crate) use engine_url::EngineUrl;

/// A value written as text: how it reads and what a message says is expected.
trait Written: FromStr + fmt::Display {
    const EXPECTED: &'static str;

    /// From a whole number, for what may be written without quotes.
    fn from_number(_: u64) -> Option<Self> {
        None
    }
}

struct WrittenVisitor<T>(std::marker::PhantomData<T>);

impl<T: Written> Visitor<'_> for WrittenVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.trim().parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        let value = u64::try_from(number).ok().and_then(T::from_number);
        value.ok_or_else(|| E::invalid_type(Unexpected::Signed(number), &self))
    }
}

macro_rules! written {
    ($($type:ty),* $(,)?) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(WrittenVisitor(std::marker::PhantomData))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

written!(Address, Period, Size, Link, Upstream, Network, LogLevel, EngineUrl);

/// Text that is not what its setting wants; the setting's description says what is.
#[derive(Debug)]
pub(crate) struct Unreadable;

/// Where to listen: an IP address and a port; port 0 lets the system choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address(pub(crate) SocketAddr);

impl Address {
    pub(super) const fn loopback(port: u16) -> Self {
        Self(SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    /// Whether only this machine can reach it.
    pub(crate) fn is_loopback(self) -> bool {
        self.0.ip().to_canonical().is_loopback()
    }
}

impl Written for Address {
    const EXPECTED: &'static str = "an IP address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"";
}

impl FromStr for Address {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        if let Some(port) = text.strip_prefix("localhost:") {
            return port.parse().map(Self::loopback).map_err(|_| Unreadable);
        }
        text.parse().map(Self).map_err(|_| Unreadable)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A duration above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period(pub(crate) Duration);

impl Written for Period {
    const EXPECTED: &'static str =
        "a duration above zero with its unit, such as \"30s\", \"250ms\" or \"10m\"";
}

impl FromStr for Period {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let signed: SignedDuration = text.parse().map_err(|_| Unreadable)?;
        let duration = Duration::try_from(signed).map_err(|_| Unreadable)?;
        if duration.is_zero() { Err(Unreadable) } else { Ok(Self(duration)) }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As it was read it fits a signed duration.
        write!(f, "{:#}", SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX))
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Default)]
pub(crate) struct Size(pub(crate) u64);

impl Size {
    pub(super) const fn mib(mebibytes: u64) -> Self {
        Self(mebibytes << 20)
    }

    /// The same as a number in memory, where it fits.
    pub(crate) fn in_memory(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Written for Size {
    const EXPECTED: &'static str = "a number of bytes, such as 1048576, \"64MiB\" or \"2GB\"";

    fn from_number(number: u64) -> Option<Self> {
        Some(Self(number))
    }
}

impl FromStr for Size {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        text.parse::<ByteSize>().map(|size| Self(size.as_u64())).map_err(|_| Unreadable)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ByteSize(self.0).display().iec().fmt(f)
    }
}

/// The address that people reach the dashboard by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link(pub(crate) url::Url);

impl Written for Link {
    const EXPECTED: &'static str =
        "an http or https URL with a host, such as \"https://verbatim.example.com\"";
}

impl FromStr for Link {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let url: url::Url = text.parse().map_err(|_| Unreadable)?;
        let plain = url.has_host() && url.username().is_empty() && url.password().is_none();
        if plain && matches!(url.scheme(), "http" | "https") { Ok(Self(url)) } else { Err(Unreadable) }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A provider's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upstream(pub(crate) BaseUrl);

impl Written for Upstream {
    const EXPECTED: &'static str = "an http or https URL with a host, without credentials and query, such as \
                                    \"https://api.openai.com/v1\"";
}

impl FromStr for Upstream {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        BaseUrl::parse(text).map(Self).map_err(|_| Unreadable)
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An address or a range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network(pub(crate) verbatim_listen::Network);

impl Written for Network {
    const EXPECTED: &'static str = "an IP address or a range such as \"10.0.0.0/8\"";
}

impl FromStr for Network {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        text.parse().map(Self).map_err(|_| Unreadable)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which log lines are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LogLevel(pub(crate) verbatim_telemetry::Level);

impl Written for LogLevel {
    const EXPECTED: &'static str = "\"error\", \"warn\", \"info\", \"debug\", \"trace\", \"off\", or directives such as \
                                    \"info,verbatim_gateway=debug\"";
}

impl FromStr for LogLevel {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        text.parse().map(Self).map_err(|_| Unreadable)
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Text that is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// What stands for a secret wherever it would be shown.
    pub(crate) const MASK: &'static str = "********";

    /// The text itself, for the one who checks it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { Self::MASK })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_back_as_they_are_shown() {
        for text in ["30s", "250ms", "10m", "1h 30m"] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.to_string().parse::<Period>().unwrap(), period);
        }
        for text in ["0", "1 MiB", "8MiB", "2GB", "123456789"] {
            let size: Size = text.parse().unwrap();
            let shown: Size = size.to_string().parse().unwrap();
            assert!(size.0.abs_diff(shown.0) <= size.0 / 20, "{text} became {shown}");
        }
        assert_eq!("localhost:81".parse::<Address>().unwrap().to_string(), "127.0.0.1:81");
    }

    #[test]
    fn what_is_not_quite_a_value_is_refused() {
        assert!(["30", "0s", "-3s", "soon"].iter().all(|text| text.parse::<Period>().is_err()));
        assert!(["-1", "many", "5 XB"].iter().all(|text| text.parse::<Size>().is_err()));
        assert!(["8080", "example.com:80", "127.0.0.1"].iter().all(|text| text.parse::<Address>().is_err()));
        let links = ["api.openai.com", "ftp://a/b", "https://user:pass@host/v1", "https://"];
        assert!(links.iter().all(|text| text.parse::<Link>().is_err() && text.parse::<Upstream>().is_err()));
    }

    #[test]
    fn a_secret_shows_nothing() {
        let secret = Secret("hunter2".into());
        assert_eq!(format!("{secret:?}"), "Secret");
        assert_eq!(serde_json::to_string(&secret).unwrap(), format!("\"{}\"", Secret::MASK));
    }
}
