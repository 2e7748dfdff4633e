//! A reading as the conversation it was, cut so that any size can be shown.

mod block;
mod pairs;
mod place;

pub(crate) use block::{Block, Rest, data_url};
pub(crate) use place::{Place, words_at};

use std::ops::Range;

use verbatim_dialects::{Message, Part, Reading, Role};

use self::block::Builder;
use self::pairs::Pairs;
use crate::text::Text;

/// Messages shown at once; earlier ones are loaded when asked for.
pub(crate) const WINDOW: usize = 24;

/// One speaker's turn.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    /// How it is marked: `s` system, `u` user, `as` assistant, `t` tool, `err` error.
    pub(crate) class: &'static str,
    /// Who speaks.
    pub(crate) label: String,
    /// Why the model stopped, beside the label.
    pub(crate) aside: String,
    /// The first words, where the rest is folded away.
    pub(crate) folded: Option<String>,
    pub(crate) blocks: Vec<Block>,
}

/// What is shown of a conversation.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// System prompts that lead it.
    pub(crate) leading: Vec<Turn>,
    /// Messages between those and the shown ones: from, to.
    pub(crate) earlier: Option<Range<usize>>,
    pub(crate) turns: Vec<Turn>,
}

/// Makes turns of messages.
pub(crate) struct Conversation<'a> {
    reading: &'a Reading,
    text: &'static Text,
    id: String,
    /// Which result answers which call.
    pairs: Pairs<'a>,
}

impl<'a> Conversation<'a> {
    pub(crate) fn new(reading: &'a Reading, id: impl std::fmt::Display, text: &'static Text) -> Self {
        Self { reading, text, id: id.to_string(), pairs: Pairs::of(&reading.messages) }
    }

    /// How many system prompts lead the conversation.
    fn leading(&self) -> usize {
        let is_system = |message: &&Message| matches!(message.role, Role::System | Role::Developer);
        self.reading.messages.iter().take(4).take_while(is_system).count()
    }

    /// The last messages, and the system prompt.
    pub(crate) fn shown(&self) -> Shown {
        let leading = self.leading();
        let total = self.reading.messages.len();
        let from = total.saturating_sub(WINDOW).max(leading);
        let mut builder = Builder::new(&self.id, self.text);
        Shown {
            leading: self.turns(0..leading, &mut builder),
            earlier: (from > leading).then_some(leading..from),
            turns: self.turns(from..total, &mut builder),
        }
    }

    /// Some earlier messages: at most a window of them, those nearest to the end of the range.
    pub(crate) fn earlier(&self, range: Range<usize>) -> Shown {
        let end = range.end.min(self.reading.messages.len());
        let start = range.start.min(end);
        let from = end.saturating_sub(WINDOW * 2).max(start);
        let mut builder = Builder::new(&self.id, self.text);
        Shown {
            leading: Vec::new(),
            earlier: (from > start).then_some(start..from),
            turns: self.turns(from..end, &mut builder),
        }
    }

    fn turns(&self, range: Range<usize>, builder: &mut Builder) -> Vec<Turn> {
        let mut turns = Vec::new();
        for at in range {
            let message = &self.reading.messages[at];
            let markdown = message.role == Role::Assistant;
            let blocks = self.blocks(&message.parts, Some(at), &Place::message(at), markdown, builder);
            if blocks.is_empty() && !message.parts.is_empty() {
                continue;
            }
            let (class, label) = self.speaker(&message.role);
            let folded =
                matches!(message.role, Role::System | Role::Developer).then(|| summary(&message.parts));
            let label = match &message.name {
                Some(name) => format!("{label} · {name}"),
                None => label,
            };
            turns.push(Turn { class, label, aside: String::new(), folded, blocks });
        }
        turns
    }

    /// What was answered, a turn for each choice, and the error.
    pub(crate) fn answer(&self) -> Vec<Turn> {
        let choices = &self.reading.answer.choices;
        let mut builder = Builder::new(&self.id, self.text);
        let mut turns = Vec::new();
        for (at, choice) in choices.iter().enumerate() {
            let blocks = self.blocks(&choice.parts, None, &Place::choice(at), true, &mut builder);
            if blocks.is_empty() && choice.finish_reason.is_none() {
                continue;
            }
            let label = if choices.len() > 1 {
                format!("{} · {} {}", self.text.assistant, self.text.choice, choice.index + 1)
            } else {
                self.text.assistant.to_owned()
            };
            let aside = choice.finish_reason.clone().unwrap_or_default();
            turns.push(Turn { class: "as", label, aside, folded: None, blocks });
        }
        if let Some(error) = &self.reading.error {
            let block = builder.words_block(&error.line(), &Place::error());
            let label = self.text.answer_error.to_owned();
            turns.push(Turn { class: "err", label, aside: String::new(), folded: None, blocks: vec![block] });
        }
        turns
    }

    fn blocks(
        &self,
        parts: &[Part],
        message: Option<usize>,
        place: &Place,
        markdown: bool,
        builder: &mut Builder,
    ) -> Vec<Block> {
        const MOST: usize = 60;
        let mut blocks = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let here = message.map(|message| (message, at));
            if here.is_some_and(|here| self.pairs.is_joined(here)) {
                continue;
            }
            if at >= MOST {
                blocks.push(Block::More { parts: parts.len() - at });
                break;
            }
            match part {
                Part::ToolCall(call) => {
                    let place = place.part(at);
                    let result = here.and_then(|here| self.pairs.result_of(here));
                    let result = result.and_then(|(message, part)| {
                        let Part::ToolResult(result) = &self.reading.messages[message].parts[part] else {
                            return None;
                        };
                        let place = Place::message(message).part(part);
                        Some((result.is_error, self.flat(&result.parts, &place, builder)))
                    });
                    blocks.push(builder.tool_call(call, &place, result));
                }
                Part::ToolResult(result) => {
                    let inner = self.flat(&result.parts, &place.part(at), builder);
                    let of_call = result.call_id.as_deref().and_then(|id| self.pairs.name_of(id));
                    let name = result.name.as_deref().or(of_call).unwrap_or_default();
                    blocks.push(Block::ToolResult {
                        name: name.to_owned(),
                        failed: result.is_error,
                        blocks: inner,
                    });
                }
                part => builder.push(part, &place.part(at), markdown, &mut blocks),
            }
        }
        blocks
    }

    /// The parts of a tool's result.
    fn flat(&self, parts: &[Part], place: &Place, builder: &mut Builder) -> Vec<Block> {
        let mut blocks = Vec::new();
        for (at, part) in parts.iter().enumerate().take(40) {
            builder.push(part, &place.part(at), false, &mut blocks);
        }
        blocks
    }

    fn speaker(&self, role: &Role) -> (&'static str, String) {
        let text = self.text;
        match role {
            Role::System => ("s", text.system.to_owned()),
            Role::Developer => ("s", text.developer.to_owned()),
            Role::User => ("u", text.user.to_owned()),
            Role::Assistant => ("as", text.assistant.to_owned()),
            Role::Tool => ("t", text.tool.to_owned()),
            Role::Other(word) => ("u", word.chars().take(40).collect()),
        }
    }
}

/// The first words of a message.
fn summary(parts: &[Part]) -> String {
    let text = parts.iter().find_map(|part| match part {
        Part::Text(text) => Some(text.text.as_str()),
        _ => None,
    });
    let preview =
        verbatim_dialects::text::preview(&text.unwrap_or_default().chars().take(400).collect::<String>());
    let mut short: String = preview.chars().take(110).collect();
    if short.len() < preview.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use verbatim_core::model::Dialect;
    use verbatim_dialects::{Choice, ToolCall, ToolResult};

    use super::*;
    use crate::text::EN;

    fn reading(messages: Vec<Message>) -> Reading {
        Reading { messages, ..Reading::new(Dialect::OpenaiChat) }
    }

    fn said(role: Role, text: &str) -> Message {
        Message::new(role, vec![Part::text(text)])
    }

    #[test]
    fn a_result_stands_with_its_call() {
        let call = ToolCall { id: Some("c1".into()), name: "weather".into(), ..ToolCall::default() };
        let result =
            ToolResult { call_id: Some("c1".into()), parts: vec![Part::text("18")], ..ToolResult::default() };
        let reading = reading(vec![
            Message::new(Role::Assistant, vec![Part::ToolCall(call)]),
            Message::new(Role::Tool, vec![Part::ToolResult(result)]),
        ]);
        let shown = Conversation::new(&reading, "id", &EN).shown();
        assert_eq!(shown.turns.len(), 1);
        let Block::ToolCall { result: Some((false, blocks)), .. } = &shown.turns[0].blocks[0] else {
            panic!("{shown:?}")
        };
        assert_eq!(blocks.len(), 1);
    }

    #[test]
    fn a_result_without_its_call_is_still_shown() {
        let result = ToolResult { call_id: Some("gone".into()), ..ToolResult::default() };
        let reading = reading(vec![Message::new(Role::Tool, vec![Part::ToolResult(result)])]);
        assert_eq!(Conversation::new(&reading, "id", &EN).shown().turns.len(), 1);
    }

    #[test]
    fn of_a_long_conversation_the_end_is_shown_and_the_rest_can_be_had() {
        let mut messages = vec![said(Role::System, "be brief")];
        messages.extend((0..200).map(|at| said(Role::User, &format!("message {at}"))));
        let reading = reading(messages);
        let conversation = Conversation::new(&reading, "id", &EN);
        let shown = conversation.shown();
        assert_eq!((shown.leading.len(), shown.turns.len()), (1, WINDOW));
        assert_eq!(shown.leading[0].folded.as_deref(), Some("be brief"));
        let mut left = shown.earlier;
        let mut seen = 1 + WINDOW;
        while let Some(range) = left {
            let shown = conversation.earlier(range);
            seen += shown.turns.len();
            left = shown.earlier;
        }
        assert_eq!(seen, reading.messages.len());
    }

    #[test]
    fn ranges_out_of_bounds_show_nothing() {
        let reading = reading(vec![said(Role::User, "x")]);
        let conversation = Conversation::new(&reading, "id", &EN);
        assert!(conversation.earlier(5..900).turns.is_empty());
        assert!(conversation.earlier(usize::MAX..usize::MAX).turns.is_empty());
    }

    #[test]
    fn several_choices_are_numbered_and_an_error_is_told() {
        let mut reading = reading(Vec::new());
        for index in 0..2 {
            reading.answer.choices.push(Choice {
                index,
                parts: vec![Part::text("hi")],
                finish_reason: Some("stop".into()),
                ..Choice::default()
            });
        }
        reading.error =
            Some(verbatim_dialects::ProviderError { message: "overloaded".into(), ..Default::default() });
        let turns = Conversation::new(&reading, "id", &EN).answer();
        assert_eq!(turns.len(), 3);
        assert_eq!(turns[1].label, "Assistant · Choice 2");
        assert_eq!(turns[2].class, "err");
    }
}
