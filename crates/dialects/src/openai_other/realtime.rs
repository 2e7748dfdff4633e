//! Realtime conversations over a tunnelled WebSocket: events of both directions.

use serde_json::Value;
use verbatim_core::model::Usage;

use crate::counting;
use crate::errors;
use crate::frames::websocket::{Deflate, messages};
use crate::json::{Frames, NEAR, Object, ObjectExt, Unparsed, entries, kept};
use crate::openai_chat::tools;
use crate::openai_responses::items;
use crate::reading::{Choice, Message, Part, Reading, Role};
use crate::view::ExchangeView;

/// Reads what both sides sent after the head of the answer.
pub(crate) fn read(view: &ExchangeView<'_>, reading: &mut Reading) {
    reading.streamed = true;
    reading.stream_asked = true;
    reading.model_asked = model_in_query(view.path);
    let extensions = view.response_headers.get_str("sec-websocket-extensions").unwrap_or_default();
    let mut asked = messages(view.request_body, Deflate::agreed(extensions, true));
    let mut answered = messages(view.response_body, Deflate::agreed(extensions, false));
    let mut tunnel = Tunnel { reading, said: Vec::new(), usage: None, frames: Frames::new() };
    for message in asked.by_ref() {
        if let Some(event) = tunnel.parse(&message.payload) {
            tunnel.asked(event);
        }
    }
    for message in answered.by_ref() {
        if let Some(event) = tunnel.parse(&message.payload) {
            tunnel.answered(event, message.end);
        }
    }
    let all_read = !tunnel.frames.are_too_many();
    tunnel.finish();
    for (whose, side) in [("client", &asked), ("provider", &answered)] {
        if let Some(code) = side.controls().close {
            let code = code.map_or("no code".to_owned(), |code| code.to_string());
            reading.note(format!("the {whose} closed with {code}"));
        }
        if side.is_cut() {
            reading.note(format!("what the {whose} sent is cut"));
        }
    }
    reading.ended_well = reading.error.is_none() && !asked.is_cut() && !answered.is_cut() && all_read;
}

fn model_in_query(path: &str) -> Option<String> {
    let query = path.split_once('?')?.1;
    let model =
        query.split('&').find_map(|pair| pair.strip_prefix("model=").or(pair.strip_prefix("deployment=")))?;
    Some(percent_encoding::percent_decode_str(model).decode_utf8_lossy().into_owned())
}

struct Tunnel<'a> {
    reading: &'a mut Reading,
    /// What was said by a response that has not ended.
    said: Vec<(String, String)>,
    usage: Option<Usage>,
    frames: Frames,
}

impl Tunnel<'_> {
    /// The event that a message holds. One that is too large is left out, and noted.
    fn parse(&mut self, payload: &[u8]) -> Option<Object> {
        let Self { reading, said, frames, .. } = self;
        let have = || kept(&(&reading.messages, &reading.answer, &reading.parameters, &reading.tools, said));
        match frames.parse(payload, have) {
            Ok(Value::Object(event)) => Some(event),
            Err(Unparsed::TooMuch) => {
                reading.note("tunnel: too many values to be read");
                None
            }
            Ok(_) | Err(Unparsed::NotJson) => None,
        }
    }

    fn asked(&mut self, mut event: Object) {
        match event.text("type") {
            Some("session.update") => {
                if let Some(session) = event.take_object("session") {
                    self.session(session);
                }
            }
            Some("conversation.item.create") => {
                let item = event.remove("item").unwrap_or_default();
                self.reading.messages.extend(items::messages(vec![item]));
            }
            // The responses API over a WebSocket.
            Some("response.create") if event.contains_key("input") || event.contains_key("model") => {
                let model = event.take_string("model");
                self.reading.model_asked = model.or(self.reading.model_asked.take());
                match event.remove("input") {
                    Some(Value::Array(list)) => self.reading.messages.extend(items::messages(list)),
                    Some(Value::String(text)) => {
                        self.reading.messages.push(Message::text(Role::User, text));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn session(&mut self, mut session: Object) {
        if let Some(text) = session.take_string("instructions").filter(|text| !text.is_empty()) {
            self.reading.messages.push(Message::text(Role::System, text));
        }
        if let Some(model) = session.take_string("model") {
            self.reading.model_asked.get_or_insert(model);
        }
        let tools = tools::definitions(session.take_list("tools"));
        if !tools.is_empty() {
            self.reading.tools = tools;
        }
        self.reading.parameters.extend(session);
    }

    fn answered(&mut self, mut event: Object, end: u64) {
        let kind = event.take_string("type").unwrap_or_default();
        match kind.as_str() {
            "session.created" | "session.updated" => {
                let session = event.object("session");
                let served = session.and_then(|session| session.text("model")).map(str::to_owned);
                let id = session.and_then(|session| session.text("id")).map(str::to_owned);
                self.reading.model_served = served.or(self.reading.model_served.take());
                self.reading.provider_request_id = id.or(self.reading.provider_request_id.take());
            }
            "conversation.item.input_audio_transcription.completed" => {
                if let Some(text) = event.take_string("transcript") {
                    self.reading.messages.push(Message::text(Role::User, text));
                }
            }
            "response.done" | "response.completed" => {
                self.said.clear();
                if let Some(response) = event.take_object("response") {
                    self.response(response);
                }
            }
            "error" => {
                let error = errors::inside(Some("error"), &Value::Object(event));
                self.reading.error = self.reading.error.take().or(error);
            }
            _ if kind.ends_with(".delta") => {
                self.reading.first_token_offset.get_or_insert(end.saturating_sub(1));
                let speaks = kind.ends_with("text.delta") || kind.ends_with("transcript.delta");
                if let Some(delta) = event.take_string("delta").filter(|_| speaks) {
                    let item = event.take_string("item_id").unwrap_or_default();
                    match self.said.iter_mut().rev().take(NEAR).find(|(have, _)| *have == item) {
                        Some((_, text)) => text.push_str(&delta),
                        None => self.said.push((item, delta)),
                    }
                }
            }
            _ => {}
        }
    }

    /// Each response of a conversation is counted for itself: their usages add up.
    fn response(&mut self, mut response: Object) {
        if let Some(told) = response.take_object("usage").and_then(|usage| counting::openai(&usage)) {
            self.usage = Some(self.usage.map_or(told, |usage| sum(usage, told)));
        }
        if let Some(model) = response.take_string("model") {
            self.reading.model_served = Some(model);
        }
        let finish_reason = response.take_string("status");
        let mut parts = Vec::new();
        entries(response.take_list("output")).for_each(|item| items::read(item, &mut parts));
        let index = self.reading.answer.choices.len() as u64;
        self.reading.answer.choices.push(Choice { index, parts, finish_reason, ..Choice::default() });
    }

    fn finish(self) {
        self.reading.usage = self.usage;
        let parts: Vec<Part> = self.said.into_iter().map(|(_, text)| Part::text(text)).collect();
        if !parts.is_empty() {
            let index = self.reading.answer.choices.len() as u64;
            self.reading.answer.choices.push(Choice { index, parts, ..Choice::default() });
        }
    }
}

fn sum(one: Usage, two: Usage) -> Usage {
    let add = |one: Option<u64>, two: Option<u64>| match (one, two) {
        (Some(one), Some(two)) => Some(one.saturating_add(two)),
        (one, two) => one.or(two),
    };
    Usage {
        input_tokens: add(one.input_tokens, two.input_tokens),
        output_tokens: add(one.output_tokens, two.output_tokens),
        total_tokens: add(one.total_tokens, two.total_tokens),
        cache_read_tokens: add(one.cache_read_tokens, two.cache_read_tokens),
        cache_write_tokens: add(one.cache_write_tokens, two.cache_write_tokens),
        reasoning_tokens: add(one.reasoning_tokens, two.reasoning_tokens),
        provenance: one.provenance,
        stated_cost_micros: add(one.stated_cost_micros, two.stated_cost_micros),
    }
}
