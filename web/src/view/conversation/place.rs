//! Where in a reading a text stands, so that the rest of it can be asked for.

use std::fmt;
use std::str::FromStr;

use verbatim_dialects::{Part, Reading};

/// A part of a message or of a choice, by its indices: `m3.0`, `m3.0.1`, `c0.2`; `e` is the error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    root: Root,
    indices: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Message,
    Choice,
    Error,
}

impl Place {
    pub(super) fn message(at: usize) -> Self {
        Self { root: Root::Message, indices: vec![at] }
    }

    pub(super) fn choice(at: usize) -> Self {
        Self { root: Root::Choice, indices: vec![at] }
    }

    pub(super) fn error() -> Self {
        Self { root: Root::Error, indices: Vec::new() }
    }

    pub(super) fn part(&self, at: usize) -> Self {
        let indices = self.indices.iter().copied().chain([at]).collect();
        Self { root: self.root, indices }
    }

    /// The part that stands there.
    pub(crate) fn find<'a>(&self, reading: &'a Reading) -> Option<&'a Part> {
        let (&first, rest) = self.indices.split_first()?;
        let mut parts = match self.root {
            Root::Message => &reading.messages.get(first)?.parts,
            Root::Choice => &reading.answer.choices.get(first)?.parts,
            Root::Error => return None,
        };
        let (&last, between) = rest.split_last()?;
        for &at in between {
            let Part::ToolResult(result) = parts.get(at)? else { return None };
            parts = &result.parts;
        }
        parts.get(last)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.root {
            Root::Message => "m",
            Root::Choice => "c",
            Root::Error => "e",
        })?;
        for (at, index) in self.indices.iter().enumerate() {
            write!(f, "{}{index}", if at == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("expected a place such as m3.0, got {:?}", text.chars().take(40).collect::<String>());
        let root = match text.get(..1) {
            Some("m") => Root::Message,
            Some("c") => Root::Choice,
            Some("e") if text.len() == 1 => return Ok(Self::error()),
            _ => return Err(wrong()),
        };
        let indices: Result<Vec<usize>, _> = text[1..].split('.').map(str::parse).collect();
        match indices {
            Ok(indices) if (2..=4).contains(&indices.len()) => Ok(Self { root, indices }),
            _ => Err(wrong()),
        }
    }
}

/// The words that a part is shown with; `None` for what is no text.
pub(crate) fn words_at(reading: &Reading, place: &Place) -> Option<String> {
    if place.root == Root::Error {
        return reading.error.as_ref().map(verbatim_dialects::ProviderError::line);
    }
    words_of(place.find(reading)?)
}

/// The words that a part is shown with.
pub(super) fn words_of(part: &Part) -> Option<String> {
    match part {
        Part::Text(text) => Some(text.text.clone()),
        Part::Reasoning(reasoning) => Some(reasoning.text.clone()),
        Part::Refusal { text } => Some(text.clone()),
        Part::ToolCall(call) => Some(pretty(&call.arguments)),
        Part::Audio(audio) => audio.transcript.clone(),
        Part::Other { value } => serde_json::to_string_pretty(value).ok(),
        Part::ToolResult(_) | Part::Image(_) | Part::Video(_) | Part::File(_) => None,
    }
}

/// JSON laid out if it is short enough to be worth it and does not fit in a line; else as it is.
pub(super) fn pretty(json: &str) -> String {
    if json.len() <= 80 || json.len() > 256 * 1024 {
        return json.to_owned();
    }
    match serde_json::from_str::<serde_json::Value>(json) {
        Ok(value) => serde_json::to_string_pretty(&value).unwrap_or_else(|_| json.to_owned()),
        Err(_) => json.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use verbatim_core::model::Dialect;
    use verbatim_dialects::{Message, Role, ToolResult};

    use super::*;

    #[test]
    fn a_place_reads_back_and_finds_its_part() {
        let result = ToolResult { parts: vec![Part::text("a"), Part::text("b")], ..ToolResult::default() };
        let mut reading = Reading::new(Dialect::OpenaiChat);
        reading.messages.push(Message::new(Role::Tool, vec![Part::ToolResult(result)]));
        let place: Place = "m0.0.1".parse().unwrap();
        assert_eq!(place.to_string(), "m0.0.1");
        assert_eq!(words_at(&reading, &place).as_deref(), Some("b"));
        assert_eq!(words_at(&reading, &"m9.0".parse().unwrap()), None);
    }

    #[test]
    fn nonsense_is_no_place() {
        for text in ["", "m", "x1.1", "m1", "m1.2.3.4.5", "m-1.0", "天", "m99999999999999999999.0", "e1"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
