//! Files that pages refer to, embedded in the binary.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

#[derive(rust_embed::Embed)]
#[folder = "assets/"]
struct Files;

/// Where assets are served. It names their content, so that browsers may keep them for ever, and modules that import
/// each other by relative paths always fit together.
pub(crate) static BASE: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = blake3::Hasher::new();
    let mut names: Vec<_> = Files::iter().collect();
    names.sort();
    for name in names {
        if let Some(file) = Files::get(&name) {
            hasher.update(name.as_bytes()).update(&file.metadata.sha256_hash());
        }
    }
    format!("/assets/{}", &hasher.finalize().to_hex()[..12])
});

/// One asset.
pub(crate) async fn asset(Path((version, name)): Path<(String, String)>) -> Response {
    let Some(file) = Files::get(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let current = BASE.strip_prefix("/assets/") == Some(version.as_str());
    let kind = HeaderValue::from_str(file.metadata.mimetype())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let mut response = file.data.into_owned().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    let keep = if current { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    response
}
