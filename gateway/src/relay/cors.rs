//! Lets web pages call, where that is configured (Fetch Standard, section 3.2).

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::AnswerBody;
use crate::config::Cors;

/// The origin to answer a page of, if it may call.
pub(super) fn allowed(cors: &Cors, headers: &HeaderMap) -> Option<HeaderValue> {
    match cors {
        Cors::Off => None,
        Cors::Any => headers.get(ORIGIN).map(|_| HeaderValue::from_static("*")),
        Cors::Origins(origins) => {
            let origin = headers.get(ORIGIN)?;
            origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
        }
    }
}

/// Whether a page asks if it may call.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Tells a page that it may call, and how.
pub(super) fn preflight(origin: HeaderValue, asked: &HeaderMap) -> Response<AnswerBody> {
    let mut answer = Response::new(AnswerBody::Own(None));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    for (from, to) in [
        (ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_ALLOW_METHODS),
        (ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_ALLOW_HEADERS),
    ] {
        if let Some(value) = asked.get(from) {
            headers.insert(to, value.clone());
        }
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    admit(origin, headers);
    answer
}

/// Lets a page read an answer.
pub(super) fn admit(origin: HeaderValue, headers: &mut HeaderMap) {
    // A provider that allows origins itself must not allow others than the operator does.
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
    headers.append(VARY, HeaderValue::from_static("origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_configured_origins_are_admitted() {
        let headers =
            |origin: &'static str| [(ORIGIN, HeaderValue::from_static(origin))].into_iter().collect();
        let cors = Cors::Origins(vec!["https://a.example".to_owned()]);
        assert_eq!(allowed(&cors, &headers("https://a.example")).unwrap(), "https://a.example");
        assert_eq!(allowed(&cors, &headers("https://b.example")), None);
        assert_eq!(allowed(&Cors::Any, &headers("https://b.example")).unwrap(), "*");
        assert_eq!(allowed(&Cors::Any, &HeaderMap::new()), None);
        assert_eq!(allowed(&Cors::Off, &headers("https://a.example")), None);
    }
}
