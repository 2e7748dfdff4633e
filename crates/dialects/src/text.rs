//! What of a reading is searched and previewed: only its new turn, since everything earlier was the new turn of an
//! earlier exchange.

use verbatim_core::model::SearchDocument;

use crate::reading::{Message, Part, Reading, Role};

/// The longest preview, in characters.
pub const PREVIEW_CHARS: usize = 200;

/// The texts of a [`SearchDocument`], each within that document's limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchTexts {
    /// See [`asked`].
    pub asked: String,
    /// See [`answered`].
    pub answered: String,
    /// See [`reasoning`].
    pub reasoning: String,
    /// See [`tools`].
    pub tools: String,
    /// See [`system`].
    pub system: String,
    /// See [`error`].
    pub error: String,
}

/// Everything that is searched of an exchange, within the limits of [`SearchDocument`].
pub fn search_texts(reading: &Reading) -> SearchTexts {
    SearchTexts {
        asked: asked(reading),
        answered: answered(reading),
        reasoning: reasoning(reading),
        tools: tools(reading),
        system: system(reading),
        error: error(reading),
    }
}

/// What was asked in the new turn: everything that users and tools said since the model last spoke, at most
/// [`SearchDocument::FIELD_LIMIT`] bytes. What the model is made to begin with (a prefilled answer) does not count
/// as its having spoken.
pub fn asked(reading: &Reading) -> String {
    let mut text = Joined::new(SearchDocument::FIELD_LIMIT);
    for message in new_turn(reading) {
        text.parts(&message.parts, Want::Said);
    }
    text.text
}

/// What the model answered: text, refusals and what is said in its audio, of every choice, at most
/// [`SearchDocument::FIELD_LIMIT`] bytes.
pub fn answered(reading: &Reading) -> String {
    answer_parts(reading, Want::Said)
}

/// The model's reasoning, at most [`SearchDocument::FIELD_LIMIT`] bytes.
pub fn reasoning(reading: &Reading) -> String {
    answer_parts(reading, Want::Reasoning)
}

/// The tools that the model called: name and arguments, a line each, at most [`SearchDocument::FIELD_LIMIT`] bytes.
pub fn tools(reading: &Reading) -> String {
    answer_parts(reading, Want::Calls)
}

/// The beginning of the system prompt, at most [`SearchDocument::SYSTEM_LIMIT`] bytes.
pub fn system(reading: &Reading) -> String {
    let mut text = Joined::new(SearchDocument::SYSTEM_LIMIT);
    for message in &reading.messages {
        if matches!(message.role, Role::System | Role::Developer) {
            text.parts(&message.parts, Want::Said);
        }
    }
    text.text
}

/// The provider's error in a line; empty where there is none.
pub fn error(reading: &Reading) -> String {
    let mut text = Joined::new(SearchDocument::FIELD_LIMIT);
    if let Some(error) = &reading.error {
        text.add(&error.line());
    }
    text.text
}

/// A preview of what was asked: the last thing that the user said in the new turn, else what a tool gave back.
pub fn asked_preview(reading: &Reading) -> String {
    let turn = new_turn(reading);
    for role in [Role::User, Role::Tool] {
        for message in turn.iter().rev().filter(|message| message.role == role) {
            // Applications put their own context in front of what the user typed, as parts of their own.
            for part in message.parts.iter().rev() {
                let mut text = Joined::new(PREVIEW_CHARS * 16);
                text.parts(std::slice::from_ref(part), Want::Said);
                let preview = preview(&text.text);
                if !preview.is_empty() {
                    return preview;
                }
            }
        }
    }
    let asked = preview(&asked(reading));
    if asked.is_empty() { kinds(turn.iter().flat_map(|message| &message.parts)) } else { asked }
}

/// A preview of what was answered: its text, else the tools it called, else its reasoning, else its error.
pub fn answered_preview(reading: &Reading) -> String {
    [answered, tools, error, reasoning]
        .iter()
        .map(|piece| preview(&piece(reading)))
        .find(|text| !text.is_empty())
        .unwrap_or_else(|| kinds(reading.answer.choices.iter().flat_map(|choice| &choice.parts)))
}

/// Names what is no text, where there is nothing else to preview: `[image] [report.pdf]`.
fn kinds<'a>(parts: impl Iterator<Item = &'a Part>) -> String {
    let names = parts.filter_map(|part| {
        let (kind, media) = match part {
            Part::Image(media) => ("image", media),
            Part::Audio(audio) => ("audio", &audio.media),
            Part::Video(media) => ("video", media),
            Part::File(media) => ("file", media),
            _ => return None,
        };
        Some(format!("[{}]", media.name.as_deref().unwrap_or(kind)))
    });
    preview(&names.collect::<Vec<_>>().join(" "))
}

/// The first words of a text on one line: at most [`PREVIEW_CHARS`] characters, white space folded to single
/// spaces, and no control or invisible formatting characters.
pub fn preview(text: &str) -> String {
    let mut preview = String::new();
    let mut chars = 0;
    let mut space = false;
    for char in text.chars() {
        if char.is_whitespace() || char.is_control() {
            space = true;
            continue;
        }
        if is_invisible(char) {
            continue;
        }
        let space_first = space && chars > 0;
        if chars + 1 + usize::from(space_first) > PREVIEW_CHARS {
            break;
        }
        if space_first {
            preview.push(' ');
            chars += 1;
        }
        space = false;
        preview.push(char);
        chars += 1;
    }
    preview
}

/// Characters that show nothing or turn the direction of what follows them.
fn is_invisible(char: char) -> bool {
    matches!(char,
        '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}')
}

/// The messages of the new turn: those of users and tools since the model last spoke.
fn new_turn(reading: &Reading) -> Vec<&Message> {
    let spoken =
        reading.messages.iter().rposition(|message| message.role != Role::Assistant).map_or(0, |at| at + 1);
    let asked = &reading.messages[..spoken];
    let from = asked.iter().rposition(|message| message.role == Role::Assistant).map_or(0, |at| at + 1);
    asked[from..]
        .iter()
        .filter(|message| !matches!(message.role, Role::System | Role::Developer | Role::Assistant))
        .collect()
}

fn answer_parts(reading: &Reading, want: Want) -> String {
    let mut text = Joined::new(SearchDocument::FIELD_LIMIT);
    for choice in &reading.answer.choices {
        text.parts(&choice.parts, want);
    }
    text.text
}

#[derive(Clone, Copy, PartialEq)]
enum Want {
    Said,
    Reasoning,
    Calls,
}

/// Texts joined by line ends, up to a limit of bytes.
struct Joined {
    text: String,
    limit: usize,
}

impl Joined {
    fn new(limit: usize) -> Self {
        Self { text: String::new(), limit }
    }

    fn add(&mut self, piece: &str) {
        if piece.is_empty() || self.text.len() + 1 >= self.limit {
            return;
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let room = self.limit - self.text.len();
        let (piece, _) = piece.split_at(piece.floor_char_boundary(room));
        if memchr::memchr(0, piece.as_bytes()).is_some() {
            // PostgreSQL's text knows no NUL.
            self.text.extend(piece.chars().filter(|char| *char != '\0'));
        } else {
            self.text.push_str(piece);
        }
    }

    fn parts(&mut self, parts: &[Part], want: Want) {
        for part in parts {
            match (part, want) {
                (Part::Text(text), Want::Said) => self.add(&text.text),
                (Part::Refusal { text }, Want::Said) => self.add(text),
                (Part::Audio(audio), Want::Said) => self.add(audio.transcript.as_deref().unwrap_or_default()),
                (Part::ToolResult(result), Want::Said) => self.parts(&result.parts, want),
                (Part::Reasoning(reasoning), Want::Reasoning) => self.add(&reasoning.text),
                (Part::ToolCall(call), Want::Calls) => {
                    self.add(&format!("{} {}", call.name, call.arguments));
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::{Choice, Media, ToolCall, ToolResult};
    use verbatim_core::model::Dialect;

    fn said(role: Role, text: &str) -> Message {
        Message::text(role, text)
    }

    fn reading(messages: Vec<Message>) -> Reading {
        Reading { messages, ..Reading::new(Dialect::OpenaiChat) }
    }

    #[test]
    fn only_the_new_turn_is_what_was_asked() {
        let result = ToolResult { parts: vec![Part::text("18 degrees")], ..ToolResult::default() };
        let reading = reading(vec![
            said(Role::System, "Be brief."),
            said(Role::User, "old question"),
            said(Role::Assistant, "old answer"),
            Message::new(Role::Tool, vec![Part::ToolResult(result)]),
            said(Role::User, "new question"),
        ]);
        assert_eq!(asked(&reading), "18 degrees\nnew question");
        assert_eq!(asked_preview(&reading), "new question");
        assert_eq!(system(&reading), "Be brief.");
    }

    #[test]
    fn a_prefilled_answer_does_not_hide_the_question() {
        let reading = reading(vec![
            said(Role::User, "old"),
            said(Role::Assistant, "answer"),
            said(Role::User, "question"),
            said(Role::Assistant, "{"),
        ]);
        assert_eq!(asked(&reading), "question");
    }

    #[test]
    fn the_answer_is_told_by_kind() {
        let mut reading = reading(Vec::new());
        let call = ToolCall {
            name: "weather".into(),
            arguments: r#"{"city":"Bern"}"#.into(),
            ..ToolCall::default()
        };
        reading.answer.choices.push(Choice {
            parts: vec![Part::reasoning("hm"), Part::text("Sure."), Part::ToolCall(call)],
            ..Choice::default()
        });
        assert_eq!(answered(&reading), "Sure.");
        assert_eq!(search_texts(&reading).reasoning, "hm");
        assert_eq!(tools(&reading), r#"weather {"city":"Bern"}"#);
        assert_eq!(answered_preview(&reading), "Sure.");
        reading.answer.choices[0].parts.remove(1);
        assert_eq!(answered_preview(&reading), r#"weather {"city":"Bern"}"#);
    }

    #[test]
    fn what_is_no_text_is_previewed_by_its_kind() {
        let mut reading = reading(vec![Message::new(Role::User, vec![Part::Image(Media::default())])]);
        let media = Media { name: Some("report.pdf".into()), ..Media::default() };
        reading.messages[0].parts.push(Part::File(media));
        assert_eq!(asked_preview(&reading), "[image] [report.pdf]");
        assert_eq!(answered_preview(&reading), "");
    }

    #[test]
    fn a_preview_is_one_clean_line_of_at_most_200_characters() {
        assert_eq!(preview("  a\n\tb\u{0}c\u{202e}d\u{1b}[31m e "), "a b cd [31m e");
        let long = "字 ".repeat(500);
        assert_eq!(preview(&long).chars().count(), 199);
        assert_eq!(preview(&"x".repeat(300)).len(), 200);
        assert_eq!(preview("\u{200b}\n"), "");
    }

    #[test]
    fn fields_are_cut_at_a_character_and_hold_no_nul() {
        let reading =
            reading(vec![said(Role::System, &"\0é".repeat(5000)), said(Role::User, &"字".repeat(40_000))]);
        let texts = search_texts(&reading);
        assert!(texts.system.len() <= SearchDocument::SYSTEM_LIMIT && !texts.system.contains('\0'));
        assert!(
            texts.asked.len() <= SearchDocument::FIELD_LIMIT
                && texts.asked.len() > SearchDocument::FIELD_LIMIT - 4
        );
    }
}
