//! From where a request comes: keeps other sites from using a reader's browser as their door.

use http::{HeaderMap, Method, header};
use url::Url;

/// The host part of a `Host` header, without port and brackets, in lower case.
fn host_only(authority: &str) -> String {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(':') => host,
        _ => authority,
    };
    host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase()
}

/// Without a password only loopback names may be asked for: a page elsewhere can make its own name point at
/// 127.0.0.1 (DNS rebinding), but not make the browser send another `Host`.
pub(crate) fn is_own_host(headers: &HeaderMap, public_url: Option<&Url>) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return false };
    let host = host_only(host);
    matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1")
        || public_url.and_then(Url::host_str).is_some_and(|own| host_only(own) == host)
}

/// Whether a request that changes something was made by a page of ours, or by a program that is no browser.
pub(crate) fn is_own_origin(method: &Method, headers: &HeaderMap, public_url: Option<&Url>) -> bool {
    if method.is_safe() {
        return true;
    }
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(origin) = text(header::ORIGIN) {
        let Ok(origin) = Url::parse(origin) else { return false };
        let authority = match (origin.host_str(), origin.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => return false,
        };
        return text(header::HOST).is_some_and(|host| host.eq_ignore_ascii_case(&authority))
            || public_url.is_some_and(|own| own.origin() == origin.origin());
    }
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    matches!(site, None | Some("same-origin" | "none"))
}

/// Whether a page of another site has a reader's browser fetch this, as a script, picture, frame or in the background.
/// It could not read the answer, but how long that takes tells it what is found here. To follow a link is no such
/// thing. Browsers say it themselves (W3C Fetch Metadata); programs don't.
pub(crate) fn is_for_another_site(headers: &HeaderMap) -> bool {
    let word = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let from_elsewhere = matches!(word("sec-fetch-site"), Some("cross-site" | "same-site"));
    from_elsewhere && (word("sec-fetch-mode"), word("sec-fetch-dest")) != (Some("navigate"), Some("document"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    fn own(host: &'static str) -> bool {
        is_own_host(&headers(&[("host", host)]), Some(&"https://verbatim.example.com/".parse().unwrap()))
    }

    #[test]
    fn only_loopback_names_and_the_public_one_are_own_hosts() {
        for host in ["localhost:8081", "127.0.0.1", "[::1]:8081", "LocalHost", "verbatim.example.com"] {
            assert!(own(host), "{host}");
        }
        for host in ["evil.example:8081", "127.0.0.1.evil.example", "localhost.evil.example", ""] {
            assert!(!own(host), "{host}");
        }
        assert!(!is_own_host(&HeaderMap::new(), None));
    }

    #[test]
    fn a_change_needs_an_own_origin() {
        let ask = |pairs: &[_]| is_own_origin(&Method::POST, &headers(pairs), None);
        assert!(ask(&[("host", "localhost:8081"), ("origin", "http://localhost:8081")]));
        assert!(!ask(&[("host", "localhost:8081"), ("origin", "http://localhost:3000")]));
        assert!(!ask(&[("host", "localhost:8081"), ("origin", "null")]));
        assert!(!ask(&[("host", "localhost:8081"), ("sec-fetch-site", "cross-site")]));
        assert!(ask(&[("host", "localhost:8081")]));
        assert!(is_own_origin(&Method::GET, &headers(&[("origin", "http://evil.example")]), None));
    }
    #[test]
    fn a_page_elsewhere_may_link_here_but_fetch_nothing() {
        let ask = |site: &'static str, mode: &'static str, dest: &'static str| {
            is_for_another_site(&headers(&[
                ("sec-fetch-site", site),
                ("sec-fetch-mode", mode),
                ("sec-fetch-dest", dest),
            ]))
        };
        assert!(ask("cross-site", "no-cors", "image"));
        assert!(ask("same-site", "cors", "empty"));
        assert!(ask("cross-site", "navigate", "iframe"));
        assert!(!ask("cross-site", "navigate", "document"));
        assert!(!ask("same-origin", "cors", "empty"));
        assert!(!ask("none", "navigate", "document"));
        assert!(!is_for_another_site(&HeaderMap::new()));
    }
}
