//! To whom the gateway lends what is the operator's: any page in a browser on this machine reaches a loopback address, and
//! would spend and read with it.

use std::fmt;
use std::net::Ipv4Addr;

use http::header::{HOST, ORIGIN, USER_AGENT};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue};

use crate::config::is_local_name;

/// What of the operator's goes with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lent {
    /// The provider's stored credential.
    Key,
    /// Headers that are configured for the provider.
    Headers,
    /// The way to a provider that is out of others' reach. It asks for no credential often; that it checks `Host` and
    /// `Origin` itself helps nothing, since `Host` is set anew here.
    Place,
}

impl fmt::Display for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "no credential came with the call, and the stored one",
            Self::Headers => "what is configured in this provider's headers",
            Self::Place => "a provider on this machine or its network",
        })
    }
}

/// Why it may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotLent {
    /// A web page made the call.
    #[error("{0} is not lent to web pages: add the page's origin to gateway.cors_origins{hint}", hint = own_key(*.0))]
    Page(Lent),
    /// It asked for a name that a web page may have pointed here.
    #[error(
        "{0} is lent only to who calls by 127.0.0.1, localhost or another local name, or by that of \
         gateway.public_url: use one of these, or list the proxy in between in gateway.trusted_proxies{hint}", hint = own_key(*.0)
    )]
    Name(Lent),
}

fn own_key(lent: Lent) -> &'static str {
    if lent == Lent::Key { ", or send the provider's API key" } else { "" }
}

/// Whether what is the operator's may go with a call, as far as the way tells by which it came.
/// `asked` is the host in the request's target, where it has one. `page_may` says that web pages like this one are
/// configured to call.
pub(crate) fn lendable(
    headers: &HeaderMap,
    asked: Option<&str>,
    page_may: bool,
    names: Names<'_>,
    lent: Lent,
) -> Result<(), NotLent> {
    if page_may {
        return Ok(());
    }
    let from_elsewhere = |value: &HeaderValue| matches!(value.as_bytes(), b"cross-site" | b"same-site");
    if headers.contains_key(ORIGIN) || headers.get("sec-fetch-site").is_some_and(from_elsewhere) {
        return Err(NotLent::Page(lent));
    }
    // A page that reads what it calls by its own name says no origin (DNS rebinding). What can't be read as a host is
    // no local one.
    let is_ours =
        |host: &str| is_local(host) || names.public.is_some_and(|public| host.eq_ignore_ascii_case(public));
    let is_our_host = |value: &HeaderValue| {
        let host = value.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
        host.is_some_and(|host| is_ours(host.host()))
    };
    let by_any_name = names.behind_proxy || !names.on_loopback && !is_of_browser(headers);
    let by_ours = || headers.get_all(HOST).iter().all(is_our_host) && asked.is_none_or(is_ours);
    if by_any_name || by_ours() { Ok(()) } else { Err(NotLent::Name(lent)) }
}

/// By which names it may be asked for what is the operator's, beside the local ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    /// That of its public address.
    pub(crate) public: Option<&'a str>,
    /// Those by which this call's way leads here: any, since a proxy in between is trusted.
    pub(crate) behind_proxy: bool,
    /// Whether only this machine reaches it. Where others do, programs ask for it by any name.
    pub(crate) on_loopback: bool,
}

/// Whether a browser made the call, as far as it says so: no page can take off its `User-Agent`, and all that are in use
/// begin so.
fn is_of_browser(headers: &HeaderMap) -> bool {
    headers.get_all(USER_AGENT).iter().any(|agent| agent.as_bytes().starts_with(b"Mozilla/"))
        || headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"))
}

/// Whether this is an address, or a name that nobody can register in the public name system.
fn is_local(host: &str) -> bool {
    host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok() || is_local_name(host)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    const LOOPBACK: Names<'_> = Names { public: None, behind_proxy: false, on_loopback: true };

    #[test]
    fn off_loopback_programs_call_by_any_name_and_browsers_by_one_that_is_ours() {
        let names = Names { public: Some("relay.example.com"), on_loopback: false, ..LOOPBACK };
        let ask = |host: &'static str, header: Option<(&'static str, &'static str)>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            if let Some((name, value)) = header {
                headers.insert(name, HeaderValue::from_static(value));
            }
            lendable(&headers, None, false, names, Lent::Key)
        };
        let browsers = [
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-site", "same-origin"),
        ];
        for browser in browsers {
            assert_eq!(
                ask("rebound.example:8080", Some(browser)),
                Err(NotLent::Name(Lent::Key)),
                "{browser:?}"
            );
            for ours in
                ["Relay.Example.com", "relay.example.com:8080", "10.0.0.7:8080", "verbatim", "gpu.internal"]
            {
                assert_eq!(ask(ours, Some(browser)), Ok(()), "{ours}");
            }
        }
        for program in [None, Some(("user-agent", "OpenAI/Python 1.99"))] {
            assert_eq!(ask("verbatim.prod.svc.cluster.example:8080", program), Ok(()));
        }
        let on_loopback = Names { on_loopback: true, ..names };
        let host = |host| HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
        assert_eq!(lendable(&host("relay.example.com"), None, false, on_loopback, Lent::Key), Ok(()));
        let other = lendable(&host("rebound.example"), None, false, on_loopback, Lent::Key);
        assert_eq!(other, Err(NotLent::Name(Lent::Key)));
    }

    #[test]
    fn nothing_is_lent_to_a_page_that_is_not_configured() {
        let ask = |pairs: &[(&'static str, &'static str)], page_may, behind_proxy| {
            let pair = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            let names = Names { behind_proxy, ..LOOPBACK };
            lendable(&pairs.iter().map(pair).collect(), None, page_may, names, Lent::Key)
        };
        let page = [("host", "127.0.0.1:8080"), ("origin", "https://evil.example")];
        assert_eq!(ask(&page, false, false), Err(NotLent::Page(Lent::Key)));
        assert_eq!(ask(&page, true, false), Ok(()));
        let link = [("host", "127.0.0.1:8080"), ("sec-fetch-site", "cross-site")];
        assert_eq!(ask(&link, false, false), Err(NotLent::Page(Lent::Key)));
        for name in ["evil.example:8080", "127.0.0.1.evil.example", "local.evil.example", "evil.example."] {
            assert_eq!(ask(&[("host", name)], false, false), Err(NotLent::Name(Lent::Key)), "{name}");
            assert_eq!(ask(&[("host", name)], false, true), Ok(()), "{name}");
        }
        for name in
            ["127.0.0.1:8080", "localhost", "[::1]:8080", "verbatim:8080", "host.docker.internal:8080"]
        {
            assert_eq!(ask(&[("host", name)], false, false), Ok(()), "{name}");
        }
        assert_eq!(ask(&[], false, false), Ok(()));
        for name in
            ["evil.example:80:80", "evil.example/", "[::1", "", ":8080", "a@evil.example", "ev\tl.example"]
        {
            assert_eq!(ask(&[("host", name)], false, false), Err(NotLent::Name(Lent::Key)), "{name}");
        }
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(ask(&two, false, false), Err(NotLent::Name(Lent::Key)));
        for (asked, expected) in [("evil.example", Err(NotLent::Name(Lent::Key))), ("localhost", Ok(()))] {
            assert_eq!(lendable(&HeaderMap::new(), Some(asked), false, LOOPBACK, Lent::Key), expected);
        }
    }
}
