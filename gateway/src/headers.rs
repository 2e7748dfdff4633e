//! Which headers pass: all but those of one hop (RFC 9110 section 7.6.1) and our own.

use http::header::{CONNECTION, COOKIE, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Names the exchange in its answer.
pub(crate) const ID: HeaderName = HeaderName::from_static("x-verbatim-id");
/// The session that a call belongs to.
pub(crate) const SESSION: HeaderName = HeaderName::from_static("x-verbatim-session");
/// Words for a call, separated by commas.
pub(crate) const TAGS: HeaderName = HeaderName::from_static("x-verbatim-tags");
/// The project that a call belongs to.
pub(crate) const PROJECT: HeaderName = HeaderName::from_static("x-verbatim-project");
/// What of a call is recorded.
pub(crate) const RECORD: HeaderName = HeaderName::from_static("x-verbatim-record");
/// How long each stop took.
pub(crate) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Anthropic's header for keys.
pub(crate) const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Gemini's header for keys.
pub(crate) const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const PROXY_AUTHORIZATION: HeaderName = HeaderName::from_static("proxy-authorization");
const PROXY_AUTHENTICATE: HeaderName = HeaderName::from_static("proxy-authenticate");
const OURS: &str = "x-verbatim-";
/// The dashboard's cookies begin so.
const OUR_COOKIES: &str = "verbatim_";

/// Whether a request asks to leave HTTP, and for what. A wish for HTTP/2 in clear is no wish to leave: RFC 9113
/// (section 3.1) gave it up, clients such as Java's send it with every first request, and a provider that granted it
/// would take further requests that nobody here has looked at.
pub(crate) fn upgrade(headers: &HeaderMap) -> Option<&HeaderValue> {
    let asked = headers.get_all(CONNECTION).iter().any(|value| has_token(value, "upgrade"));
    headers.get(UPGRADE).filter(|protocol| asked && !has_token(protocol, "h2c"))
}

/// Takes off a request what does not go on to the provider. `Host` is set anew from the provider's URL, and an
/// expectation of `100 Continue` is met by the gateway itself as soon as the provider takes the body.
pub(crate) fn strip_request(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    headers.remove(HOST);
    headers.remove(EXPECT);
    headers.remove(PROXY_AUTHORIZATION);
    strip_ours(headers);
}

/// Takes off an answer what does not go on to the caller.
pub(crate) fn strip_response(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    headers.remove(PROXY_AUTHENTICATE);
    // One of another gateway behind this one would be taken for ours.
    headers.remove(ID);
}

fn strip_ours(headers: &mut HeaderMap) {
    let ours = |name: &HeaderName| name.as_str().starts_with(OURS);
    if headers.keys().any(ours) {
        let names: Vec<_> = headers.keys().filter(|name| ours(name)).cloned().collect();
        for name in names {
            headers.remove(name);
        }
    }
    strip_our_cookies(headers);
}

/// Browsers tell ports apart no more than paths: they send the dashboard's cookies to a relay on the same host, and
/// who has them reads every record.
fn strip_our_cookies(headers: &mut HeaderMap) {
    let ours = |pair: &[u8]| pair.trim_ascii().starts_with(OUR_COOKIES.as_bytes());
    let pairs = |value: &HeaderValue| value.as_bytes().split(|byte| *byte == b';').any(ours);
    if !headers.get_all(COOKIE).iter().any(pairs) {
        return;
    }
    let kept: Vec<HeaderValue> = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| {
            let kept: Vec<_> = value
                .as_bytes()
                .split(|byte| *byte == b';')
                .filter(|pair| !ours(pair))
                .map(<[u8]>::trim_ascii)
                .collect();
            HeaderValue::from_bytes(&kept.join(&b"; "[..])).ok().filter(|value| !value.is_empty())
        })
        .collect();
    headers.remove(COOKIE);
    for value in kept {
        headers.append(COOKIE, value);
    }
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
            .collect();
        headers.remove(CONNECTION);
        for name in named {
            headers.remove(name);
        }
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
}

fn has_token(value: &HeaderValue, token: &str) -> bool {
    value.to_str().is_ok_and(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
}

/// A transfer coding of the body that is not `chunked`, which alone is undone here.
pub(crate) fn other_transfer_coding(headers: &HeaderMap) -> Option<String> {
    let codings = headers
        .get_all(TRANSFER_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    codings
        .map(<[u8]>::trim_ascii)
        .find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"chunked"))
        .map(|coding| String::from_utf8_lossy(coding).into_owned())
}

/// How many bytes a head takes on the wire, about.
pub(crate) fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        list.iter().map(pair).collect()
    }

    fn left(headers: &HeaderMap) -> Vec<(&str, &str)> {
        let mut list: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        list.sort_by_key(|(name, _)| *name);
        list
    }

    #[test]
    fn what_connection_names_and_what_is_of_one_hop_stays_here() {
        let mut request = headers(&[
            ("connection", "keep-alive, X-Private"),
            ("connection", "x-other"),
            ("x-private", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("host", "127.0.0.1"),
            ("expect", "100-continue"),
            ("x-verbatim-session", "s"),
            ("x-verbatim-anything", "s"),
            ("accept", "a"),
            ("accept", "b"),
            ("accept-encoding", "gzip"),
            ("x-title", "app"),
        ]);
        strip_request(&mut request);
        assert_eq!(
            left(&request),
            [("accept", "a"), ("accept", "b"), ("accept-encoding", "gzip"), ("x-title", "app")]
        );
    }

    #[test]
    fn the_dashboards_cookies_stay_here_and_others_pass() {
        let stripped = |cookies: &[&'static str]| {
            let mut request: HeaderMap =
                cookies.iter().map(|value| (COOKIE, HeaderValue::from_static(value))).collect();
            strip_request(&mut request);
            request.get_all(COOKIE).iter().map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(stripped(&["a=1; verbatim_session=9.8.7; b=2"]), ["a=1; b=2"]);
        assert_eq!(stripped(&["a=1", "verbatim_session=9.8.7", "b=2"]), ["a=1", "b=2"]);
        assert_eq!(stripped(&["verbatim_session=9.8.7;verbatim_lang=en"]), [""; 0]);
        assert_eq!(stripped(&["a=1;b=2 ;c=verbatim_"]), ["a=1;b=2 ;c=verbatim_"], "untouched");
    }

    #[test]
    fn an_answers_headers_pass_with_their_duplicates_in_order() {
        let mut response = headers(&[
            ("set-cookie", "b=2"),
            ("server-timing", "model;dur=5"),
            ("set-cookie", "a=1"),
            ("connection", "close"),
            ("retry-after", "3"),
            ("x-should-retry", "true"),
        ]);
        strip_response(&mut response);
        assert_eq!(
            left(&response),
            [
                ("retry-after", "3"),
                ("server-timing", "model;dur=5"),
                ("set-cookie", "b=2"),
                ("set-cookie", "a=1"),
                ("x-should-retry", "true")
            ]
        );
    }

    #[test]
    fn an_upgrade_counts_only_where_connection_names_it() {
        assert!(upgrade(&headers(&[("upgrade", "websocket")])).is_none());
        assert!(
            upgrade(&headers(&[("upgrade", "H2C"), ("connection", "Upgrade, HTTP2-Settings")])).is_none()
        );
        assert!(
            upgrade(&headers(&[("upgrade", "websocket"), ("connection", "Keep-Alive, Upgrade")])).is_some()
        );
    }
}
