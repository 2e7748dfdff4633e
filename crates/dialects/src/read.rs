//! From bytes to a reading.

use serde_json::Value;

use crate::reading::Reading;
use crate::view::ExchangeView;

/// Reads an exchange. Total: whatever the bytes, there is a reading; what could not be read is in its notes.
pub fn read(view: &ExchangeView<'_>) -> Reading {
    let mut reading = Reading::new(view.dialect);
    if let Ok(Value::Object(mut request)) = serde_json::from_slice(view.request_body) {
        if let Some(Value::String(model)) = request.remove("model") {
            reading.model_asked = Some(model);
        }
        reading.stream_asked = request.get("stream") == Some(&Value::Bool(true));
        reading.parameters = request;
    }
    reading.ended_well = view.response_complete && view.status.is_some_and(|status| status < 400);
    reading
}
