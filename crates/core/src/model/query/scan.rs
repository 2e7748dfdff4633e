//! Cuts what was typed into words, phrases and conditions. Colons, commas, quotes and minus signs count in their
//! full-width forms too, as Chinese and Japanese keyboards give them.

use std::ops::Range;

use super::keyword::{self, Keyword};
use super::parse::QueryError;

/// One thing that was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Whether a minus sign stood before it.
    pub(super) excluded: bool,
    /// Where it stands, minus sign included.
    pub(super) at: Range<usize>,
    pub(super) content: Content,
}

/// What an item is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    Word(String),
    Phrase(String),
    Condition { keyword: Keyword, values: Vec<Value> },
}

/// One of the values behind a colon.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// Where it stands, quotes included.
    pub(super) at: Range<usize>,
    /// The text between the stars that stand for anything.
    pub(super) runs: Vec<String>,
}

impl Value {
    /// The value as one text.
    pub(super) fn text(&self) -> String {
        self.runs.join("*")
    }
}

/// The longest word, phrase or value, in characters.
const LONGEST_TEXT: usize = 1_000;

pub(super) fn is_quote(letter: char) -> bool {
    matches!(letter, '"' | '“' | '”' | '＂')
}

pub(super) fn is_minus(letter: char) -> bool {
    matches!(letter, '-' | '－')
}

pub(super) fn is_comma(letter: char) -> bool {
    matches!(letter, ',' | '，')
}

/// Reads items off the front of the input.
pub(super) struct Scanner<'a> {
    input: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(input: &'a str) -> Self {
        Self { input, at: 0 }
    }

    /// The next item; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Item>, QueryError> {
        self.take_while(char::is_whitespace);
        let start = self.at;
        let Some(first) = self.peek() else { return Ok(None) };
        // A lone minus sign is a dash, not an exclusion of nothing.
        let mut excluded = false;
        if is_minus(first) {
            self.bump(first);
            excluded = self.peek().is_some_and(|letter| !letter.is_whitespace());
            if !excluded {
                self.at = start;
            }
        }
        let content = match self.peek() {
            Some(letter) if is_quote(letter) => self.phrase()?,
            _ => self.word_or_condition()?,
        };
        Ok(Some(Item { excluded, at: start..self.at, content }))
    }

    fn phrase(&mut self) -> Result<Content, QueryError> {
        let start = self.at;
        let runs = self.quoted(false)?;
        let text = runs.concat();
        if text.trim().is_empty() {
            return Err(QueryError::new(start..self.at, "expected words between the quotes"));
        }
        self.limit(start, &text)?;
        Ok(Content::Phrase(text))
    }

    fn word_or_condition(&mut self) -> Result<Content, QueryError> {
        let start = self.at;
        let word = self.rest_of_word();
        for (offset, colon) in word.char_indices().filter(|(_, letter)| matches!(letter, ':' | '：')) {
            let name = &word[..offset];
            if let Some(keyword) = Keyword::named(name) {
                self.at = start + offset + colon.len_utf8();
                return Ok(Content::Condition { keyword, values: self.values(keyword)? });
            }
            // A full-width colon is punctuation in prose; an ASCII one is hardly ever.
            if colon == ':' {
                return Err(not_a_field(start, word, name));
            }
        }
        self.at = start + word.len();
        self.limit(start, word)?;
        Ok(Content::Word(word.to_owned()))
    }

    fn values(&mut self, keyword: Keyword) -> Result<Vec<Value>, QueryError> {
        let mut values = Vec::new();
        loop {
            let start = self.at;
            let runs = match self.peek() {
                Some(letter) if is_quote(letter) => {
                    let runs = self.quoted(true)?;
                    if self.peek().is_some_and(|letter| !letter.is_whitespace() && !is_comma(letter)) {
                        return Err(QueryError::new(
                            start..self.at,
                            "expected a space or a comma behind the closing quote; text that holds quotes is \
                             written with \\\" inside quotes",
                        ));
                    }
                    runs
                }
                _ => {
                    let text = self.take_while(|letter| !letter.is_whitespace() && !is_comma(letter));
                    text.split('*').map(str::to_owned).collect()
                }
            };
            let value = Value { at: start..self.at, runs };
            let text = value.text();
            if text.is_empty() {
                let name = keyword.name();
                let at = if value.at.is_empty() { self.before(start) } else { value.at };
                return Err(QueryError::new(at, format!("expected a value right behind `{name}:`")));
            }
            self.limit(start, &text)?;
            values.push(value);
            match self.peek() {
                Some(letter) if is_comma(letter) => self.bump(letter),
                _ => return Ok(values),
            }
        }
    }

    /// What stands between quotes, cut at stars if `stars`. A backslash before a quote, a backslash or (if `stars`)
    /// a star makes it plain text.
    fn quoted(&mut self, stars: bool) -> Result<Vec<String>, QueryError> {
        let start = self.at;
        let opening = self.peek().unwrap_or('"');
        self.bump(opening);
        // What was opened with a typographic quote is closed by either: keyboards mix them up.
        let closes = |letter: char| match opening {
            '"' => letter == '"',
            _ => is_quote(letter),
        };
        let mut runs = vec![String::new()];
        while let Some(letter) = self.peek() {
            self.bump(letter);
            let plain = match letter {
                _ if closes(letter) => return Ok(runs),
                '\\' => match self.peek() {
                    Some(next) if is_quote(next) || next == '\\' || (stars && next == '*') => {
                        self.bump(next);
                        next
                    }
                    _ => letter,
                },
                '*' if stars => {
                    runs.push(String::new());
                    continue;
                }
                _ => letter,
            };
            if let Some(run) = runs.last_mut() {
                run.push(plain);
            }
        }
        Err(QueryError::new(start..self.at, "expected a closing quote"))
    }

    fn limit(&self, start: usize, text: &str) -> Result<(), QueryError> {
        if text.chars().nth(LONGEST_TEXT).is_some() {
            let message = format!("expected at most {LONGEST_TEXT} characters here");
            return Err(QueryError::new(start..self.at, message));
        }
        Ok(())
    }

    fn peek(&self) -> Option<char> {
        self.input[self.at..].chars().next()
    }

    fn bump(&mut self, letter: char) {
        self.at += letter.len_utf8();
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.input[self.at..];
        let end = rest.find(|letter| !keep(letter)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn rest_of_word(&self) -> &'a str {
        let rest = &self.input[self.at..];
        &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())]
    }

    /// The character before `at`, so that an error about nothing has something to point at.
    fn before(&self, at: usize) -> Range<usize> {
        let start = self.input[..at].char_indices().next_back().map_or(at, |(index, _)| index);
        start..at
    }
}

fn not_a_field(start: usize, word: &str, name: &str) -> QueryError {
    let quoted = format!("\"{}\"", super::print::escaped(&super::print::shortened(word)));
    if name.is_empty() || word[name.len()..].starts_with("://") {
        let message = format!("text with a colon in it needs quotes: {quoted}");
        return QueryError::new(start..start + word.len(), message);
    }
    let at = start..start + name.len();
    let name = super::print::shortened(name);
    QueryError::new(
        at,
        match keyword::suggestion(&name) {
            Some(meant) => {
                format!("`{name}` is not a field; did you mean `{meant}:`? As text it needs quotes: {quoted}")
            }
            None => format!(
                "`{name}` is not a field; as text it needs quotes: {quoted}. The fields are {}",
                keyword::all_names()
            ),
        },
    )
}
