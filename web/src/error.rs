//! What the API answers when it can't do what was asked.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use verbatim_core::model::InvalidExchangeId;
use verbatim_core::model::query::QueryError;
use verbatim_core::ports::PortError;

/// Why a request was not answered as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("{error}")]
    Query { query: String, error: QueryError },
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Forbidden(String),
    #[error("not logged in: send the password as `Authorization: Bearer <password>` or with HTTP Basic")]
    Unauthorised,
    #[error("too many wrong passwords: try again in {0} s")]
    Throttled(u64),
    #[error(transparent)]
    Port(#[from] PortError),
    #[error("{0}")]
    Internal(String),
}

/// The answer to a request that took so long that nobody waits for it any more: its body did not come, or the answer to
/// it. Nothing more is read from the connection.
pub(crate) fn too_late(has_body: bool, after: Duration) -> Response {
    let seconds = after.as_secs_f64();
    let (status, code, message) = match has_body {
        true => {
            let message = format!("the request's body did not come within {seconds} s: send it whole");
            (StatusCode::REQUEST_TIMEOUT, "bad_request", message)
        }
        false => {
            let message =
                format!("there was no answer within {seconds} s: ask for less, such as a shorter time range");
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
        }
    };
    let error = ErrorDetail { code, message, spot: None };
    let close = (header::CONNECTION, HeaderValue::from_static("close"));
    (status, [close], Json(ErrorBody { error })).into_response()
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// What went wrong.
    pub(crate) error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorDetail {
    /// A word for programs: `bad_query`, `bad_request`, `not_found`, `forbidden`, `unauthorised`, `throttled`,
    /// `unavailable`, `internal`.
    pub(crate) code: &'static str,
    /// A line for people: what was expected, what came, what to do.
    pub(crate) message: String,
    /// Where in the query it goes wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spot: Option<Spot>,
}

/// A spot in a query.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Spot {
    /// The first character of it, counted in characters from 0.
    pub(crate) start: usize,
    /// The character behind it.
    pub(crate) end: usize,
    /// What stands there.
    pub(crate) text: String,
}

impl Spot {
    pub(crate) fn of(query: &str, error: &QueryError) -> Self {
        let start = floor(query, error.at.start);
        let end = floor(query, error.at.end.max(start));
        let chars = |to: usize| query[..to].chars().count();
        Self { start: chars(start), end: chars(end), text: query[start..end].to_owned() }
    }
}

/// The nearest character boundary at or before `at`.
pub(crate) fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

impl From<InvalidExchangeId> for ApiError {
    fn from(error: InvalidExchangeId) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl ApiError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Query { .. } | Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Unauthorised => StatusCode::UNAUTHORIZED,
            Self::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Port(error) if error.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Port(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Query { .. } => "bad_query",
            Self::Invalid(_) => "bad_request",
            Self::NotFound(_) => "not_found",
            Self::Forbidden(_) => "forbidden",
            Self::Unauthorised => "unauthorised",
            Self::Throttled(_) => "throttled",
            Self::Port(error) if error.is_transient() => "unavailable",
            Self::Port(_) | Self::Internal(_) => "internal",
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::warn!(error = %self, "a request could not be answered");
        }
        let spot = match &self {
            Self::Query { query, error } => Some(Spot::of(query, error)),
            _ => None,
        };
        let body = ErrorBody { error: ErrorDetail { code: self.code(), message: self.to_string(), spot } };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        match self {
            Self::Unauthorised => {
                headers.insert(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static("Basic realm=\"Verbatim\", charset=\"UTF-8\""),
                );
            }
            Self::Throttled(seconds) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spot_is_counted_in_characters() {
        let query = "天气 statsu:200";
        let error = QueryError { at: 7..13, message: "unknown field".to_owned() };
        let spot = Spot::of(query, &error);
        assert_eq!((spot.start, spot.end, spot.text.as_str()), (3, 9, "statsu"));
    }

    #[test]
    fn a_spot_out_of_bounds_is_pulled_in() {
        let error = QueryError { at: 1..900, message: String::new() };
        assert_eq!(Spot::of("天", &error).text, "天");
    }
}
