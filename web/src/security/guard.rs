//! The door: every request passes here first.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use http::{Extensions, HeaderMap, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{COOKIE, cookie, origin};
use crate::error::ApiError;
use crate::state::{App, Shared};

/// Lets a request through, or answers why not.
pub(crate) async fn guard(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let own = app.config.public_url.as_ref();
    if !app.sessions.required() && !origin::is_own_host(request.headers(), own) {
        return ApiError::Forbidden(
            "this dashboard has no password, so it answers only to localhost, 127.0.0.1, [::1] and the host of \
             web.public_url: open it by one of these, or set web.password"
                .to_owned(),
        )
        .into_response();
    }
    if !origin::is_own_origin(request.method(), request.headers(), own)
        || origin::is_for_another_site(request.headers())
    {
        return ApiError::Forbidden("this request was made by a page of another site".to_owned())
            .into_response();
    }
    let path = request.uri().path();
    if app.sessions.required() && !is_public(path) {
        let from = caller_address(&app, request.headers(), request.extensions());
        match admit(&app, request.headers(), from).await {
            Ok(()) => {}
            Err(ApiError::Unauthorised) if is_page(path, request.headers()) => {
                let wanted = request.uri().path_and_query().map_or("/", |path| path.as_str());
                let next = utf8_percent_encode(wanted, NON_ALPHANUMERIC);
                return Redirect::to(&format!("/login?next={next}")).into_response();
            }
            Err(error) => return error.into_response(),
        }
    }
    next.run(request).await
}

/// A session's cookie, or the password itself as a bearer or with HTTP Basic (whatever the user's name).
async fn admit(app: &App, headers: &HeaderMap, from: IpAddr) -> Result<(), ApiError> {
    if let Some(token) = cookie(headers, COOKIE)
        && app.sessions.is_valid(token, app.ports.clock.now()).await?
    {
        return Ok(());
    }
    let Some(given) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
        return Err(ApiError::Unauthorised);
    };
    let password = password_of(given).ok_or(ApiError::Unauthorised)?;
    app.check_password(&password, from)
}

fn password_of(authorization: &str) -> Option<String> {
    let (scheme, value) = authorization.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(value.trim()).ok()?;
    let (_, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(password.to_owned())
}

impl App {
    /// Whether this is the password; wrong ones make their sender wait.
    pub(crate) fn check_password(&self, password: &str, from: IpAddr) -> Result<(), ApiError> {
        self.throttle
            .attempt(from, Instant::now())
            .map_err(|wait| ApiError::Throttled(wait.as_secs().max(1)))?;
        if !self.sessions.is_password(password) {
            return Err(ApiError::Unauthorised);
        }
        self.throttle.succeeded(from);
        Ok(())
    }
}

/// What anyone may see: how to log in, and whether the process lives.
fn is_public(path: &str) -> bool {
    path == "/login"
        || path.starts_with("/assets/")
        || matches!(path, "/livez" | "/readyz" | "/healthz" | "/health" | "/preferences" | "/favicon.ico")
}

/// Whether a browser asks for a page, rather than a program for data.
fn accepts_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accepted.is_some_and(|accept| accept.contains("text/html"))
}

/// Whether a person is looking, who should see a form rather than an error.
pub(crate) fn is_page(path: &str, headers: &HeaderMap) -> bool {
    accepts_html(headers) && !path.starts_with("/api/")
}

/// The address a request comes from: the connection's, or what a trusted proxy says.
pub(crate) fn caller_address(app: &App, headers: &HeaderMap, extensions: &Extensions) -> IpAddr {
    let peer = extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip());
    verbatim_listen::caller_address(peer, &app.config.trusted_proxies, headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_comes_as_bearer_or_basic() {
        assert_eq!(password_of("Bearer s3cret").as_deref(), Some("s3cret"));
        assert_eq!(password_of("basic YW55Om9wZW46c2VzYW1l").as_deref(), Some("open:sesame"));
        assert_eq!(password_of("Basic !!!"), None);
        assert_eq!(password_of("Digest x"), None);
        assert_eq!(password_of(""), None);
    }

    #[test]
    fn only_the_login_the_assets_and_the_probes_are_public() {
        for path in ["/login", "/assets/x/css/base.css", "/livez"] {
            assert!(is_public(path), "{path}");
        }
        for path in ["/", "/exchanges", "/api/v1/exchanges", "/metrics", "/login/", "/openapi.json"] {
            assert!(!is_public(path), "{path}");
        }
    }
}
