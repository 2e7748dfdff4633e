//! Cutting streams into frames: server-sent events, lines of JSON, a JSON array, AWS event streams, WebSockets.
//!
//! Each works on bytes alone and knows no dialect.

pub mod aws_event_stream;
pub mod json_array;
pub mod ndjson;
pub mod sse;
pub mod websocket;
