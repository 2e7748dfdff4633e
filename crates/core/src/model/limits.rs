//! How long the texts of a record may be. What callers and providers send has no limit of its own, and a column stands
//! in the row, in indexes, in sums and in every list that shows it; the bytes are in the legs anyway.

use super::{Caller, Exchange, ExchangeHeads};

impl Exchange {
    /// The longest name, id or reason, in characters: of models, tools, tags, sessions, applications, ...
    pub const NAME_CHARS: usize = 256;
    /// The longest error or note, in characters.
    pub const ERROR_CHARS: usize = 1024;
    /// The most tags, and the most names of called tools.
    pub const MOST_NAMES: usize = 64;

    /// The same with every text cut to its limit, at a character's boundary, and without characters that steer
    /// a terminal. (Previews have a limit already, and a path is as long as HTTP lets it be: 64 KiB.)
    #[must_use]
    pub fn within_limits(mut self) -> Self {
        for name in [&mut self.gateway, &mut self.method, &mut self.provider] {
            cut(name, Self::NAME_CHARS);
        }
        let Caller { app, project, key, owner, credential, client_address } = &mut self.caller;
        let of_caller = [app, project, key, owner, credential, client_address];
        let of_provider = [&mut self.provider_request_id, &mut self.model_served, &mut self.finish_reason];
        let others = [&mut self.model_asked, &mut self.session, &mut self.trace_id];
        for name in of_caller.into_iter().chain(of_provider).chain(others).flatten() {
            cut(name, Self::NAME_CHARS);
        }
        for names in [&mut self.tags, &mut self.tools_called] {
            names.truncate(Self::MOST_NAMES);
            names.iter_mut().for_each(|name| cut(name, Self::NAME_CHARS));
        }
        if let Some(error) = &mut self.error {
            cut(error, Self::ERROR_CHARS);
        }
        self
    }
}

impl ExchangeHeads {
    /// The most notes.
    pub const MOST_NOTES: usize = 200;

    /// The same with every note and error cut to its limit, without characters that steer. Heads stay as they were on the wire.
    #[must_use]
    pub fn within_limits(mut self) -> Self {
        self.notes.truncate(Self::MOST_NOTES);
        let errors = self.attempts.iter_mut().filter_map(|attempt| attempt.error.as_mut());
        self.notes.iter_mut().chain(errors).for_each(|text| cut(text, Exchange::ERROR_CHARS));
        self
    }
}

/// Whether a character does something to the text around it, or to the terminal that shows it, instead of being seen:
/// control characters, and those that turn the direction of writing (Unicode Standard Annex 9, section 2).
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

fn cut(text: &mut String, chars: usize) {
    if text.contains(steers) {
        text.retain(|character| !steers(character));
    }
    if text.len() > chars
        && let Some((end, _)) = text.char_indices().nth(chars)
    {
        text.truncate(end);
        // What was cut off may have been megabytes.
        text.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Attempt;

    #[test]
    fn texts_are_cut_at_characters_and_short_ones_stay() {
        let short = ["字字字字", "字é", "abc", "abcd", ""].map(|text| {
            let mut text = text.to_owned();
            cut(&mut text, 3);
            text
        });
        assert_eq!(short, ["字字字", "字é", "abc", "abc", ""]);
    }

    #[test]
    fn no_character_of_a_name_or_note_steers_a_terminal() {
        let bad = "a\u{1b}]0;x\u{7}\u{9b}2J\r\nb\u{202e}c\u{2066}\u{200f}\u{61c}é字";
        let mut name = bad.to_owned();
        cut(&mut name, Exchange::NAME_CHARS);
        assert_eq!(name, "a]0;x2Jbcé字");
        let heads = ExchangeHeads { notes: vec![bad.to_owned()], ..ExchangeHeads::default() };
        assert_eq!(heads.within_limits().notes, ["a]0;x2Jbcé字"]);
    }

    #[test]
    fn notes_and_errors_of_attempts_are_cut() {
        let long = "é".repeat(5_000);
        let attempt = Attempt { error: Some(long.clone()), ..Attempt::default() };
        let heads =
            ExchangeHeads { attempts: vec![attempt], notes: vec![long; 5_000], ..ExchangeHeads::default() };
        let heads = heads.within_limits();
        assert_eq!((heads.notes.len(), heads.notes[0].chars().count()), (200, 1024));
        assert_eq!(heads.attempts[0].error.as_ref().map(|error| error.chars().count()), Some(1024));
    }
}
