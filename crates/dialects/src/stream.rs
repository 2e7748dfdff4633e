//! Driving a fold with a stream's frames, however they are framed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::decode::Decoded;
use crate::errors;
use crate::frames::{
    aws_event_stream, json_array::JsonArrayFramer, ndjson::NdjsonFramer, sse::SseEvent, sse::SseFramer,
};
use crate::json::{Frames, Unparsed};
use crate::language::{Fold, Language, Step};
use crate::read::Shape;
use crate::reading::{ProviderError, Reading};
use crate::text::preview;

/// Reads a stream; what is known of its end. `None` if there was too much in it to be read that far.
pub(crate) fn read(
    shape: Shape,
    body: &Decoded<'_>,
    language: &dyn Language,
    reading: &mut Reading,
) -> Option<Step> {
    reading.streamed = true;
    let mut driver =
        Driver { fold: language.fold(), reading, body, frames: Frames::new(), end: Step::NOTHING };
    match shape {
        Shape::Lines => driver.lines(),
        Shape::Array => driver.array(),
        Shape::AwsEventStream => driver.aws_event_stream(),
        _ => driver.sse(),
    }
    driver.fold.finish(driver.reading);
    (!driver.frames.are_too_many()).then_some(driver.end)
}

struct Driver<'a, 'b> {
    fold: Box<dyn Fold>,
    reading: &'a mut Reading,
    body: &'a Decoded<'b>,
    frames: Frames,
    end: Step,
}

impl Driver<'_, '_> {
    fn sse(&mut self) {
        let mut framer = SseFramer::new();
        framer.push(&self.body.bytes);
        let mut stray = Vec::new();
        while !self.frames.are_too_many()
            && let Some(event) = framer.next_event()
        {
            self.event(&event, &mut stray);
        }
        if let Some(last) = framer.finish() {
            let event = last.event();
            if event.data.is_some() {
                self.reading.note("the last event is not ended by an empty line");
            }
            self.event(&event, &mut stray);
        }
        if let Ok(value) = self.parse(&stray) {
            self.frame(None, value, self.body.bytes.len() as u64);
        }
    }

    fn event(&mut self, event: &SseEvent<'_>, stray: &mut Vec<u8>) {
        if let Some(line) = &event.stray {
            stray.extend_from_slice(line);
            stray.push(b'\n');
        }
        let Some(data) = &event.data else { return };
        if data.trim_ascii() == b"[DONE]" {
            self.end.terminal = true;
            return;
        }
        let name = event.name.as_deref();
        if name.is_none_or(|name| name != "error")
            && let Some(step) = self.fold.frame_bytes(data, self.reading)
        {
            return self.step(step, event.payload_end);
        }
        match self.parse(data) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => self.frame(name, value, event.payload_end),
            Ok(Value::String(message)) if name == Some("error") => self.error(&message),
            Err(Unparsed::NotJson) if name == Some("error") => self.error(&String::from_utf8_lossy(data)),
            // What is not JSON is a keep-alive, unless it is the piece of a frame that the end cut off.
            Err(Unparsed::NotJson) if !event.terminated && data.starts_with(b"{") => {
                self.reading.note("the last event is cut");
            }
            _ => {}
        }
    }

    /// Parses a frame. One that is too large is left out, and noted.
    fn parse(&mut self, bytes: &[u8]) -> Result<Value, Unparsed> {
        let parsed = self.frames.parse(bytes, || self.fold.kept());
        if parsed == Err(Unparsed::TooMuch) {
            self.reading.note("response: too many values to be read");
        }
        parsed
    }

    fn error(&mut self, message: &str) {
        let message = preview(message);
        self.reading.error.get_or_insert(ProviderError { message, ..ProviderError::default() });
    }

    fn lines(&mut self) {
        let mut framer = NdjsonFramer::new();
        framer.push(&self.body.bytes);
        while !self.frames.are_too_many()
            && let Some(line) = framer.next_line()
        {
            self.value(line.bytes, line.end, "a line of the answer is not JSON");
        }
        if let Some(line) = framer.finish() {
            self.value(line.bytes, line.end, "the last line is cut");
        }
    }

    /// Takes a frame of a stream of which all frames are JSON.
    fn value(&mut self, bytes: &[u8], end: u64, otherwise: &str) {
        match self.parse(bytes) {
            Ok(value) => self.frame(None, value, end),
            Err(Unparsed::NotJson) => self.reading.note(otherwise),
            Err(Unparsed::TooMuch) => {}
        }
    }

    fn array(&mut self) {
        let mut framer = JsonArrayFramer::new();
        framer.push(&self.body.bytes);
        while !self.frames.are_too_many()
            && let Some(element) = framer.next_element()
        {
            self.value(element.bytes, element.end, "an element of the answer is not JSON");
        }
        if !framer.is_closed() {
            self.reading.note("the answer's list is cut");
        }
    }

    fn aws_event_stream(&mut self) {
        let mut messages = aws_event_stream::messages(&self.body.bytes);
        for message in messages.by_ref() {
            match self.parse(message.payload).map(|value| self.unwrapped(value)) {
                value if message.is_exception => {
                    let error = errors::of_answer(200, message.payload, value.ok().as_ref());
                    self.reading.error.get_or_insert(ProviderError {
                        kind: error.kind.or_else(|| message.kind.map(str::to_owned)),
                        ..error
                    });
                }
                Ok(value) => self.frame(message.kind, value, message.end),
                Err(_) if self.frames.are_too_many() => break,
                Err(_) => {}
            }
        }
        if !messages.rest().is_empty() {
            self.reading.note("the last message of the event stream is cut");
        }
    }

    /// Bedrock wraps what the model's own language says.
    fn unwrapped(&mut self, value: Value) -> Value {
        let bytes = value.get("bytes").and_then(Value::as_str).and_then(|bytes| STANDARD.decode(bytes).ok());
        match bytes.and_then(|bytes| self.parse(&bytes).ok()) {
            Some(inner @ Value::Object(_)) => inner,
            _ => value,
        }
    }

    fn frame(&mut self, name: Option<&str>, value: Value, payload_end: u64) {
        let value = match value {
            // A list of one error, or of several frames.
            Value::Array(list) => {
                list.into_iter().for_each(|value| self.frame(name, value, payload_end));
                return;
            }
            value => value,
        };
        if self.reading.error.is_none() {
            self.reading.error = errors::inside(name, &value);
        }
        let Value::Object(frame) = value else { return };
        let step = self.fold.frame(name, frame, self.reading);
        self.step(step, payload_end);
    }

    fn step(&mut self, step: Step, payload_end: u64) {
        if step.token && self.reading.first_token_offset.is_none() {
            self.reading.first_token_offset = self.body.wire_offset(payload_end.saturating_sub(1));
        }
        self.end = self.end.and(step);
    }
}
