//! The way in and out.

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::{Extensions, HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde::Deserialize;
use verbatim_core::ports::PortError;

use super::preferences::{local_path, secure};
use super::{Chrome, html_with};
use crate::error::ApiError;
use crate::security::{COOKIE, caller_address, cookie};
use crate::state::Shared;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    c: Chrome,
    next: String,
    problem: String,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Given {
    password: String,
    next: Option<String>,
}

/// The form.
pub(super) async fn form(
    State(app): State<Shared>,
    Query(wanted): Query<Wanted>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let next = local_path(wanted.next.as_deref());
    if !app.sessions.required() {
        return Redirect::to(next).into_response();
    }
    let page = LoginPage {
        c: Chrome::new(&app, &headers, &uri, "login"),
        next: next.to_owned(),
        problem: String::new(),
    };
    html_with(StatusCode::OK, &page)
}

/// Checks the password and opens a session.
pub(super) async fn log_in(
    State(app): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    extensions: Extensions,
    Form(given): Form<Given>,
) -> Response {
    let next = local_path(given.next.as_deref());
    if !app.sessions.required() {
        return Redirect::to(next).into_response();
    }
    let from = caller_address(&app, &headers, &extensions);
    match app.check_password(&given.password, from) {
        Ok(()) => {
            let token = app.sessions.issue(app.ports.clock.now());
            let age = crate::security::SESSION_LIFETIME.as_secs();
            let cookie =
                format!("{COOKIE}={token}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{}", secure(&app));
            with_cookie(Redirect::to(next).into_response(), &cookie)
        }
        Err(error) => {
            let c = Chrome::new(&app, &headers, &uri, "login");
            let problem = match &error {
                ApiError::Throttled(seconds) => format!("{} {seconds} {}", c.t.too_many, c.t.seconds),
                _ => c.t.wrong_password.to_owned(),
            };
            html_with(error.status(), &LoginPage { c, next: next.to_owned(), problem })
        }
    }
}

/// Ends the session: copies of its cookie open nothing any more either, at whichever process. Where that can't be noted
/// the cookie stays, so that its owner can try again.
pub(super) async fn log_out(State(app): State<Shared>, headers: HeaderMap) -> Response {
    if let Some(token) = cookie(&headers, COOKIE)
        && let Err(error) = app.sessions.log_out(token, app.ports.clock.now()).await
    {
        let why =
            format!("you are still logged in, because the logout could not be noted: {error}; try again");
        return ApiError::from(PortError::Transient(why)).into_response();
    }
    let cookie = format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{}", secure(&app));
    with_cookie(Redirect::to("/login").into_response(), &cookie)
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
