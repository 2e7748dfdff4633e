//! Whose address a call comes from.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};

use crate::Network;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The caller's address: the peer's, or behind proxies that are trusted, the last one that is none of them.
///
/// Each proxy appends whom it heard from to `x-forwarded-for`, so it is read from its end, as far as can be believed: what
/// stands before something that is no address was not written by a proxy that is known.
pub fn caller_address(peer: IpAddr, trusted: &[Network], headers: &HeaderMap) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let peer = peer.to_canonical();
    if !is_trusted(peer) {
        return peer;
    }
    let lists: Vec<_> =
        headers.get_all(X_FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    let mut last = peer;
    for hop in lists.iter().rev().flat_map(|list| list.rsplit(',')) {
        let Ok(address) = hop.trim().parse::<IpAddr>() else { return last };
        last = address.to_canonical();
        if !is_trusted(last) {
            return last;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "192.0.2.7".parse().unwrap()];
        let at = |peer: &str, lists: &[&'static str]| {
            let pair = |list: &&'static str| (X_FORWARDED_FOR, HeaderValue::from_static(list));
            let headers = lists.iter().map(pair).collect();
            caller_address(peer.parse().unwrap(), &trusted, &headers).to_string()
        };
        assert_eq!(at("10.0.0.1", &["1.2.3.4, 5.6.7.8, 10.0.0.2"]), "5.6.7.8");
        assert_eq!(at("10.0.0.1", &["1.2.3.4", "5.6.7.8,192.0.2.7"]), "5.6.7.8");
        assert_eq!(at("::ffff:10.0.0.1", &["::ffff:5.6.7.8"]), "5.6.7.8");
        assert_eq!(at("9.9.9.9", &["1.2.3.4"]), "9.9.9.9");
        assert_eq!(at("10.0.0.1", &["1.2.3.4, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(at("10.0.0.1", &[]), "10.0.0.1");
    }
}
