//! Who may come in, and what a browser may do with what it gets.

mod guard;
mod headers;
mod origin;
mod session;
mod throttle;

pub(crate) use guard::{caller_address, guard, is_page};
pub(crate) use headers::protect;
pub(crate) use session::{COOKIE, LIFETIME as SESSION_LIFETIME, Sessions};
pub(crate) use throttle::Throttle;

use http::HeaderMap;

/// The value of a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(http::header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(have, _)| *have == name)
        .map(|(_, value)| value)
}
