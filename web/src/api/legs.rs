//! The exact bytes of a leg.

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Deserialize;
use utoipa::IntoParams;
use verbatim_core::model::{ExchangeId, Headers, Leg, LegBody};

use crate::error::{ApiError, ErrorBody};
use crate::heavy::heavy;
use crate::reading::{found, headers_of, plain};
use crate::state::{App, Shared};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LegParams {
    /// `1` to undo the body's content encoding (gzip, deflate, br, zstd).
    #[param(value_type = Option<u8>)]
    decoded: Option<String>,
}

/// The body of one leg, byte for byte, with the content type it was recorded with.
///
/// A leg that equals the other side's is served under both names. It is always a download: nothing in it can run.
#[utoipa::path(
    get, path = "/api/v1/exchanges/{id}/legs/{leg}", tag = "exchanges",
    params(
        ("id" = String, Path, description = "The exchange's id"),
        ("leg" = String, Path, description = "`client_request`, `upstream_request`, `upstream_response` or \
            `client_response`"),
        LegParams
    ),
    responses(
        (status = 200, description = "The bytes", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 400, description = "That is not an id or a leg", body = ErrorBody),
        (status = 403, description = "A page tried to run it", body = ErrorBody),
        (status = 404, description = "No such exchange, or that leg is not stored", body = ErrorBody),
        (status = 500, description = "The stored bytes do not match their hash", body = ErrorBody),
        (status = 503, description = "The archive can't be asked right now", body = ErrorBody)
    )
)]
pub(super) async fn get_leg(
    State(app): State<Shared>,
    Path((id, leg)): Path<(String, String)>,
    Query(params): Query<LegParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id: ExchangeId = id.parse()?;
    let leg: Leg = leg
        .parse()
        .map_err(|error: verbatim_core::model::UnknownWord| ApiError::Invalid(error.to_string()))?;
    if is_to_run(&headers) {
        return Err(ApiError::Forbidden("a recorded body is data: it is not served to be run".to_owned()));
    }
    let (_, heads) = found(&app.stores, id).await?;
    let body = match app.ports.archive.body(id, leg).await? {
        Some(body) => body,
        None => app.ports.archive.body(id, leg.counterpart()).await?.ok_or_else(|| {
            ApiError::NotFound(format!("{leg} of {id} is not stored: it was not recorded, or had no body"))
        })?,
    };
    let recorded = headers_of(&heads, leg);
    let decoded = params.decoded.is_some_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    download(&app, id, leg, body, recorded, decoded).await
}

/// Whether a browser would run what it is given, rather than show or save it (Fetch Metadata).
fn is_to_run(headers: &HeaderMap) -> bool {
    let destination = headers.get("sec-fetch-dest").and_then(|value| value.to_str().ok());
    matches!(
        destination,
        Some(
            "script"
                | "style"
                | "worker"
                | "sharedworker"
                | "serviceworker"
                | "audioworklet"
                | "paintworklet"
                | "object"
                | "embed"
                | "iframe"
                | "frame"
                | "xslt"
                | "manifest"
                | "font"
        )
    )
}

async fn download(
    app: &App,
    id: ExchangeId,
    leg: Leg,
    body: LegBody,
    recorded: &Headers,
    decoded: bool,
) -> Result<Response, ApiError> {
    let content_type = safe_content_type(recorded);
    let name = format!("{id}.{leg}{}", extension(&content_type, recorded, decoded));
    let stored_hash = body.info.stored_hash;
    let bytes = if decoded {
        let recorded = recorded.clone();
        heavy(&app.stores, move || plain(&recorded, body.bytes)).await?
    } else {
        body.bytes
    };
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("sandbox; default-src 'none'; frame-ancestors 'none'"),
    );
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    if let (Some(hash), false) = (stored_hash, decoded) {
        let hash = blake3::Hash::from_bytes(hash).to_hex();
        if let Ok(hash) = HeaderValue::from_str(&hash) {
            headers.insert(HeaderName::from_static("x-verbatim-blake3"), hash);
        }
    }
    // The body's encoding is part of what was recorded: as a header of ours it would be undone on the way.
    if let (Some(encoding), false) = (recorded.get("content-encoding"), decoded)
        && let Ok(encoding) = HeaderValue::from_bytes(encoding)
    {
        headers.insert(HeaderName::from_static("x-verbatim-content-encoding"), encoding);
    }
    Ok(response)
}

/// The recorded content type, or a harmless one where none was recorded or it can't be said.
pub(crate) fn safe_content_type(recorded: &Headers) -> HeaderValue {
    recorded
        .get("content-type")
        .and_then(|value| HeaderValue::from_bytes(value).ok())
        .filter(|value| !value.is_empty())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

fn extension(content_type: &HeaderValue, recorded: &Headers, decoded: bool) -> &'static str {
    if !decoded && recorded.get("content-encoding").is_some() {
        return match recorded.get_str("content-encoding") {
            Some("gzip") => ".gz",
            Some("br") => ".br",
            Some("zstd") => ".zst",
            _ => ".bin",
        };
    }
    let text = content_type.to_str().unwrap_or_default();
    match text.split(';').next().unwrap_or_default().trim() {
        "application/json" => ".json",
        "application/x-ndjson" => ".ndjson",
        "text/event-stream" | "text/plain" => ".txt",
        "image/png" => ".png",
        "image/jpeg" => ".jpg",
        "audio/mpeg" => ".mp3",
        "audio/wav" => ".wav",
        _ => ".bin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_can_not_load_a_body_as_code() {
        for destination in ["script", "style", "serviceworker", "iframe"] {
            let headers =
                [(HeaderName::from_static("sec-fetch-dest"), HeaderValue::from_static(destination))];
            assert!(is_to_run(&headers.into_iter().collect()), "{destination}");
        }
        assert!(!is_to_run(&HeaderMap::new()));
    }

    #[test]
    fn a_missing_content_type_is_an_octet_stream() {
        assert_eq!(safe_content_type(&Headers::default()), "application/octet-stream");
    }
}
