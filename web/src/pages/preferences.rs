//! Language and theme.

use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderValue, header};
use serde::Deserialize;

use super::chrome::THEME_COOKIE;
use crate::state::{App, Shared};
use crate::text::Language;

#[derive(Debug, Deserialize)]
pub(super) struct Preferences {
    lang: Option<String>,
    theme: Option<String>,
    next: Option<String>,
}

/// Sets cookies and goes back to where the reader was.
pub(super) async fn set(State(app): State<Shared>, Form(wanted): Form<Preferences>) -> Response {
    let mut response = Redirect::to(local_path(wanted.next.as_deref())).into_response();
    let mut remember = |name: &str, value: &str| {
        if let Ok(cookie) = HeaderValue::from_str(&cookie(&app, name, value)) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    };
    if let Some(language) = wanted.lang.as_deref().and_then(Language::from_code) {
        remember(Language::COOKIE, language.code());
    }
    if let Some(theme @ ("auto" | "light" | "dark")) = wanted.theme.as_deref() {
        remember(THEME_COOKIE, theme);
    }
    response
}

fn cookie(app: &App, name: &str, value: &str) -> String {
    format!("{name}={value}; Path=/; Max-Age=31536000; SameSite=Lax{}", secure(app))
}

/// Where people come over HTTPS, cookies never travel without it.
pub(super) fn secure(app: &App) -> &'static str {
    match &app.config.public_url {
        Some(url) if url.scheme() == "https" => "; Secure",
        _ => "",
    }
}

/// A path of this site; anything else, such as `//elsewhere`, leads to the start.
pub(super) fn local_path(next: Option<&str>) -> &str {
    next.filter(|next| {
        let mut bytes = next.bytes();
        bytes.next() == Some(b'/')
            && !matches!(bytes.next(), Some(b'/' | b'\\'))
            && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    })
    .unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_never_lands_on_another_site() {
        assert_eq!(local_path(Some("/exchanges?q=a%20b")), "/exchanges?q=a%20b");
        for next in
            ["//evil.example", "/\\evil.example", "https://evil.example", "", "javascript:x", "/a\r\nX: y"]
        {
            assert_eq!(local_path(Some(next)), "/", "{next}");
        }
        assert_eq!(local_path(None), "/");
    }
}
