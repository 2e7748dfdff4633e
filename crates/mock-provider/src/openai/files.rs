//! `/files`, in OpenAI's shape and in Anthropic's. Nothing is kept: a file's facts are drawn from its id.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{created, created_at, id};
use crate::answer::{Answer, Payload};
use crate::call::{Call, RequestBody, seed_of};
use crate::errors::error;
use crate::ledger::Digest;
use crate::multipart::Form;
use crate::route::Dialect;

const CONTENT_BYTES: u64 = 2048;

/// Takes an upload, tells of a file, or gives pseudo-random content for it.
pub(crate) fn files(dialect: Dialect, file: Option<&str>, content: bool, call: &Call<'_>) -> Answer {
    let head = &call.head;
    match file {
        Some(_) if content => Answer::new(
            "application/octet-stream",
            Payload::Random(call.directives.size.unwrap_or(CONTENT_BYTES)),
        )
        .with_header("content-disposition", "attachment; filename=\"file\""),
        Some(file) if head.method == Method::DELETE => Answer::value(&match dialect {
            Dialect::Anthropic => json!({"id": file, "type": "file_deleted"}),
            _ => json!({"id": file, "object": "file", "deleted": true}),
        }),
        Some(file) => {
            let seed = seed_of(&Digest::of(file.as_bytes()), "");
            Answer::value(&describe(dialect, file, "file.jsonl", CONTENT_BYTES, "user_data", seed))
        }
        None if head.method == Method::POST => upload(dialect, call),
        None => Answer::value(&match dialect {
            Dialect::Anthropic => json!({"data": [], "first_id": null, "last_id": null, "has_more": false}),
            _ => json!({"object": "list", "data": [], "has_more": false, "first_id": null, "last_id": null}),
        }),
    }
}

fn upload(dialect: Dialect, call: &Call<'_>) -> Answer {
    let form = match Form::read(call) {
        Ok(form) => form,
        Err(message) => return error(dialect, StatusCode::BAD_REQUEST, &message, call),
    };
    let Some((name, kept)) = form.file() else {
        return error(dialect, StatusCode::BAD_REQUEST, "Missing required parameter: 'file'.", call);
    };
    let bytes = match call.body {
        RequestBody::Whole(_) => kept as u64,
        // The form around the file is small against a file of that size.
        RequestBody::Ends { bytes, .. } => *bytes,
    };
    let purpose = form.text("purpose").unwrap_or("user_data");
    let prefix = if dialect == Dialect::Anthropic { "file_" } else { "file-" };
    Answer::value(&describe(dialect, &id(prefix, call.seed), name, bytes, purpose, call.seed))
}

fn describe(dialect: Dialect, id: &str, name: &str, bytes: u64, purpose: &str, seed: u64) -> Value {
    match dialect {
        Dialect::Anthropic => json!({
            "id": id, "type": "file", "filename": name, "mime_type": "application/octet-stream",
            "size_bytes": bytes, "downloadable": false,
            "created_at": created_at(seed).to_string(),
        }),
        _ => json!({
            "id": id, "object": "file", "bytes": bytes, "created_at": created(seed), "expires_at": null,
            "filename": name, "purpose": purpose, "status": "processed", "status_details": null,
        }),
    }
}
