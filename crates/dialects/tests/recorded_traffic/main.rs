//! Recorded traffic of real providers, read and checked against what a simpler reader finds in the same bytes.
//!
//! The recordings are not part of this project. Where they are absent, these tests say so and pass.

#[cfg(test)]
mod recording;
#[cfg(test)]
mod simple;

use std::fmt::Write as _;

use recording::recorded;
use serde_json::Value;
use simple::{found, simple};
use verbatim_core::model::{Dialect, Provenance};
use verbatim_dialects::{estimate, read, text};

#[test]
fn recorded_answers_are_read_as_a_simple_reader_reads_them() {
    let mut checked = 0;
    let mut wrong = String::new();
    for recorded in recorded() {
        let reading = recorded.read();
        if let Some(dialect) = recorded.dialect() {
            assert_eq!(reading.dialect, dialect, "{}", recorded.name());
        }
        if recorded.status >= 400 {
            let error = reading.error.as_ref().unwrap_or_else(|| panic!("no error: {}", recorded.name()));
            assert!(!error.message.is_empty() && error.message.len() < 2000, "{}", recorded.name());
            assert!(!reading.ended_well, "{}", recorded.name());
            checked += 1;
            continue;
        }
        let Some(expected) = simple(&recorded) else { continue };
        checked += 1;
        let found = found(&reading);
        if found != expected {
            writeln!(wrong, "{}\n  found    {found:?}\n  expected {expected:?}", recorded.name()).unwrap();
        }
        if reading.error.is_none() && !reading.ended_well {
            writeln!(wrong, "{} did not end well: {:?}", recorded.name(), reading.notes).unwrap();
        }
        if let Some(usage) = reading.usage {
            assert_eq!(usage.provenance, Some(Provenance::Provider), "{}", recorded.name());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    println!("checked {checked} exchanges");
}

#[test]
fn recorded_requests_are_read() {
    for recorded in recorded() {
        let Ok(Value::Object(request)) = serde_json::from_slice(&recorded.request) else { continue };
        let reading = recorded.read();
        let name = recorded.name();
        if let Some(model) = request.get("model").and_then(Value::as_str) {
            assert_eq!(reading.model_asked.as_deref(), Some(model.trim_start_matches("models/")), "{name}");
        }
        if let Some(tools) =
            request.get("tools").and_then(Value::as_array).filter(|_| reading.dialect != Dialect::Gemini)
        {
            assert_eq!(reading.tools.len(), tools.len(), "{name}");
        }
        if let Some(messages) = request.get("messages").and_then(Value::as_array) {
            let apart = usize::from(["system", "preamble"].iter().any(|key| {
                request.get(*key).is_some_and(|system| !system.is_null())
                    && recorded.api != "chat.completions"
            }));
            assert_eq!(reading.messages.len(), messages.len() + apart, "{name}");
            assert!(!text::asked_preview(&reading).is_empty() || messages.is_empty(), "{name}");
        }
        let preview = text::asked_preview(&reading);
        assert!(preview.chars().count() <= text::PREVIEW_CHARS && !preview.contains('\n'), "{name}");
    }
}

#[test]
fn a_recording_cut_anywhere_is_read_without_panic_and_without_false_usage() {
    for recorded in recorded() {
        let whole = recorded.read();
        let step = (recorded.response.len() / 15).max(1);
        for end in (0..recorded.response.len()).step_by(step) {
            let cut = read(&recorded.view(&recorded.response[..end], false));
            let name = format!("{} cut at {end}", recorded.name());
            if let (Some(cut), Some(whole)) = (cut.usage, whole.usage) {
                assert!(
                    cut.output_tokens.is_none() || cut.output_tokens == whole.output_tokens,
                    "{name}: {cut:?} {whole:?}"
                );
            }
            let _ = text::search_texts(&cut);
        }
        let _ = estimate::usage(&whole);
    }
}

#[test]
fn streams_tell_where_their_first_token_is() {
    for recorded in recorded() {
        let reading = recorded.read();
        let has_text = !text::answered(&reading).is_empty();
        if reading.streamed && has_text && reading.dialect != Dialect::Raw {
            let offset =
                reading.first_token_offset.unwrap_or_else(|| panic!("no first token: {}", recorded.name()));
            assert!(offset < recorded.response.len() as u64, "{}", recorded.name());
        } else if !reading.streamed {
            assert_eq!(reading.first_token_offset, None, "{}", recorded.name());
        }
    }
}

#[test]
fn every_reading_serialises() {
    for recorded in recorded() {
        let reading = recorded.read();
        assert!(serde_json::to_string(&reading).is_ok(), "{}", recorded.name());
    }
}
