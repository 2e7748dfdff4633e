//! Finds credentials in JSON as it passes, in whatever pieces it comes: one document, one a line, or one an event.
//!
//! Every JSON body comes by here, on any path, since which paths' bodies hold credentials is for providers to say; so a
//! body without any must cost next to nothing. Nothing is read of it until a key that matters stands in it. Such a key's
//! letters between quotes, the first one unescaped, can be nothing in JSON but a string of that content, wherever they
//! stand; so they are searched for, many bytes at a time. Only from `tools`, `client_secret` and `authentication` on,
//! whose keys count by their place, structure is followed, until the list or object ends.

use memchr::{memchr2, memrchr};

use super::keys::{BodyKeys, Candidates, Found, Meaning, Role};
use super::mask::Masked;
use super::spelling::{Spelled, Spelling};

/// Structure is followed so deep at most; what is nested deeper is masked whole.
const DEEPEST: usize = 1024;
/// How ephemeral keys of realtime sessions begin.
const EPHEMERAL: &[u8] = b"ek_";

/// Where, after bytes are missing, a document begins for certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anew {
    Never,
    /// Behind so many line ends: one document a line, or one an event.
    Behind(u8),
}

/// A body under way.
#[derive(Debug)]
pub(super) struct JsonRedactor {
    state: State,
    /// What is open around here and followed; nothing: keys are searched for.
    open: Vec<Container>,
    /// The byte before the next ones.
    last: u8,
    anew: Anew,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Container {
    is_list: bool,
    place: Place,
}

/// What a list or object is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Plain,
    /// The object under `client_secret`.
    ClientSecret,
    /// The object under `authentication`.
    Authentication,
    /// The list under `tools`.
    Tools,
    /// An element of that list.
    Tool,
    /// What stands under a tool's `headers`, and everything in it.
    Headers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between strings; where nothing is followed, anywhere.
    Between,
    /// In a key, which so far reads like one that matters.
    Key(Key),
    /// In a string that stays.
    Stays { is_key: bool, escaped: bool },
    /// Behind a key, before its colon.
    Named(Meaning),
    /// Behind a key's colon.
    Valued(Meaning),
    /// In a string that begins like an ephemeral key; so many of that beginning's bytes were read.
    Ephemeral(usize, Spelling),
    /// In a credential, so many bytes of which are masked.
    Secret { done: usize, escaped: bool },
    /// Anywhere: bytes are missing, or nested too deep. So many line ends were the last that was read.
    Blind(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    candidates: Candidates,
    spelling: Spelling,
}

/// How far a key was read.
#[derive(Debug, Clone, Copy)]
enum Read {
    /// To the end of the bytes.
    Unfinished(Key),
    /// To its end.
    Known(Meaning),
    /// As far as it reads like one that matters.
    Other,
}

impl JsonRedactor {
    pub(super) const fn new(anew: Anew) -> Self {
        Self { state: State::Between, open: Vec::new(), last: 0, anew }
    }

    /// Bytes are missing. What follows may be in a credential, so it is masked until a document begins for certain.
    pub(super) fn lost_some(&mut self) {
        self.state = State::Blind(0);
        self.open.clear();
    }

    /// Masks what is secret in the next bytes.
    pub(super) fn feed(&mut self, keys: &BodyKeys, bytes: &[u8], masked: &mut Masked<'_>) {
        let mut at = 0;
        while at < bytes.len() {
            at = match self.state {
                State::Between if self.open.is_empty() => self.search(keys, bytes, at),
                State::Between => self.follow(keys, bytes, at),
                State::Key(key) => self.key(keys, key, bytes, at),
                State::Stays { is_key, escaped } => self.stays(is_key, escaped, bytes, at),
                State::Named(meaning) => self.named(meaning, bytes[at], at),
                State::Valued(meaning) => self.valued(meaning, bytes[at], at),
                State::Ephemeral(read, spelling) => self.ephemeral(read, spelling, bytes[at], at),
                State::Secret { done, escaped } => self.secret(done, escaped, bytes, at, masked),
                State::Blind(lines) => self.blind(lines, bytes, at, masked),
            };
        }
        self.last = bytes.last().copied().unwrap_or(self.last);
    }

    /// Searches for a key that matters.
    fn search(&mut self, keys: &BodyKeys, bytes: &[u8], from: usize) -> usize {
        let mut at = from;
        while let Some(found) = keys.find(bytes, at) {
            match found {
                Found::Key { start, end, meaning } => {
                    if self.is_begin(bytes, start) {
                        self.state = State::Named(meaning);
                        return end;
                    }
                    at = start + 1;
                }
                Found::Escape { at: escape } => {
                    let read = self.key_before(keys, bytes, from, escape);
                    match read {
                        Some((Read::Other, end)) => at = end.max(escape + 1),
                        Some((read, end)) => return self.have_read(read, end),
                        None => at = escape + 1,
                    }
                }
            }
        }
        // The beginning of one may be all that came.
        match self.key_before(keys, bytes, from, bytes.len()) {
            Some((Read::Other, _)) | None => bytes.len(),
            Some((read, end)) => self.have_read(read, end),
        }
    }

    /// Reads the key that begins before `at`, not before `from`, if one does there.
    fn key_before(&self, keys: &BodyKeys, bytes: &[u8], from: usize, at: usize) -> Option<(Read, usize)> {
        let from = from.max(at.saturating_sub(keys.reach()));
        let quote = from + memrchr(b'"', &bytes[from..at])?;
        let key = Key { candidates: keys.candidates(), spelling: Spelling::default() };
        self.is_begin(bytes, quote).then(|| read_key(keys, key, bytes, quote + 1))
    }

    /// Whether a quote is no escape's.
    fn is_begin(&self, bytes: &[u8], quote: usize) -> bool {
        let before = quote.checked_sub(1).map_or(self.last, |before| bytes[before]);
        before != b'\\'
    }

    fn key(&mut self, keys: &BodyKeys, key: Key, bytes: &[u8], at: usize) -> usize {
        let (read, end) = read_key(keys, key, bytes, at);
        self.have_read(read, end)
    }

    fn have_read(&mut self, read: Read, end: usize) -> usize {
        self.state = match read {
            Read::Unfinished(key) => State::Key(key),
            Read::Known(meaning) => State::Named(meaning),
            Read::Other if self.open.is_empty() => State::Between,
            Read::Other => State::Stays { is_key: true, escaped: false },
        };
        end
    }

    /// Follows structure up to the next string, or to the end of what is followed.
    fn follow(&mut self, keys: &BodyKeys, bytes: &[u8], from: usize) -> usize {
        let is_structure = |byte: &u8| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']');
        let Some(length) = bytes[from..].iter().position(is_structure) else { return bytes.len() };
        let at = from + length;
        match bytes[at] {
            b'"' if self.open.last().is_some_and(|container| container.is_list) => {
                self.state = self.string(Meaning::NONE);
            }
            b'"' => {
                let key = Key { candidates: keys.candidates(), spelling: Spelling::default() };
                self.state = State::Key(key);
            }
            opening @ (b'{' | b'[') => self.opens(opening, Meaning::NONE),
            _ => {
                self.open.pop();
            }
        }
        at + 1
    }

    fn stays(&mut self, is_key: bool, escaped: bool, bytes: &[u8], at: usize) -> usize {
        let (end, escaped) = string_end(bytes, at, escaped);
        let Some(end) = end else {
            self.state = State::Stays { is_key, escaped };
            return bytes.len();
        };
        self.state = if is_key { State::Named(Meaning::NONE) } else { State::Between };
        end + 1
    }

    fn named(&mut self, meaning: Meaning, byte: u8, at: usize) -> usize {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => at + 1,
            b':' => {
                self.state = State::Valued(meaning);
                at + 1
            }
            _ => {
                self.state = State::Between;
                at
            }
        }
    }

    fn valued(&mut self, meaning: Meaning, byte: u8, at: usize) -> usize {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => at + 1,
            b'{' | b'[' => {
                self.state = State::Between;
                self.opens(byte, meaning);
                at + 1
            }
            b'"' => {
                self.state = self.string(meaning);
                if self.state == State::Between { at } else { at + 1 }
            }
            _ => {
                self.state = State::Between;
                at
            }
        }
    }

    /// What a string is that begins here as the value of a key, or of none.
    fn string(&self, meaning: Meaning) -> State {
        let place = self.open.last().map(|container| container.place);
        let is_secret = match place {
            Some(Place::Headers) => true,
            Some(Place::Tool) => meaning.role == Role::Headers,
            Some(Place::ClientSecret) => meaning.role == Role::Value,
            Some(Place::Authentication) => meaning.role == Role::Key,
            Some(Place::Plain | Place::Tools) | None => false,
        };
        match (meaning.role, place) {
            _ if is_secret || meaning.secret => State::Secret { done: 0, escaped: false },
            (Role::Value, _) => State::Ephemeral(0, Spelling::default()),
            (_, Some(_)) => State::Stays { is_key: false, escaped: false },
            (_, None) => State::Between,
        }
    }

    fn opens(&mut self, opening: u8, meaning: Meaning) {
        let is_list = opening == b'[';
        let around = self.open.last().map(|container| container.place);
        let place = match (around, meaning.role) {
            (Some(Place::Headers), _) | (Some(Place::Tool), Role::Headers) => Place::Headers,
            (Some(Place::Tools), _) if !is_list => Place::Tool,
            (_, Role::Tools) if is_list => Place::Tools,
            (_, Role::ClientSecret) if !is_list => Place::ClientSecret,
            (_, Role::Authentication) if !is_list => Place::Authentication,
            (Some(_), _) => Place::Plain,
            (None, _) => return,
        };
        if self.open.len() == DEEPEST {
            self.lost_some();
        } else {
            self.open.push(Container { is_list, place });
        }
    }

    fn ephemeral(&mut self, read: usize, spelling: Spelling, byte: u8, at: usize) -> usize {
        let (state, is_taken) = if spelling == Spelling::Plain && byte == b'"' {
            (State::Between, true)
        } else {
            match spelling.read(byte) {
                Spelled::Unfinished(spelling) => (State::Ephemeral(read, spelling), true),
                Spelled::Byte(byte) if byte == EPHEMERAL[read] => {
                    let is_whole = read + 1 == EPHEMERAL.len();
                    let secret = State::Secret { done: 0, escaped: false };
                    (if is_whole { secret } else { State::Ephemeral(read + 1, Spelling::Plain) }, true)
                }
                Spelled::Byte(_) | Spelled::Foreign => {
                    let stays = State::Stays { is_key: false, escaped: false };
                    (if self.open.is_empty() { State::Between } else { stays }, spelling == Spelling::Begun)
                }
            }
        };
        self.state = state;
        at + usize::from(is_taken)
    }

    fn secret(
        &mut self,
        done: usize,
        escaped: bool,
        bytes: &[u8],
        at: usize,
        masked: &mut Masked<'_>,
    ) -> usize {
        let (end, escaped) = string_end(bytes, at, escaped);
        let to = end.unwrap_or(bytes.len());
        masked.mask(at..to, done);
        let goes_on = State::Secret { done: done + to - at, escaped };
        self.state = if end.is_some() { State::Between } else { goes_on };
        to + usize::from(end.is_some())
    }

    fn blind(&mut self, mut lines: u8, bytes: &[u8], mut at: usize, masked: &mut Masked<'_>) -> usize {
        while at < bytes.len() {
            let length = memchr2(b'\n', b'\r', &bytes[at..]).unwrap_or(bytes.len() - at);
            if length > 0 {
                masked.blank(at..at + length);
                (lines, at) = (0, at + length);
                continue;
            }
            lines = lines.saturating_add(u8::from(bytes[at] == b'\n'));
            at += 1;
            if self.anew == Anew::Behind(lines) {
                self.state = State::Between;
                return at;
            }
        }
        self.state = State::Blind(lines);
        at
    }
}

fn read_key(keys: &BodyKeys, mut key: Key, bytes: &[u8], mut at: usize) -> (Read, usize) {
    while let Some(&byte) = bytes.get(at) {
        if key.spelling == Spelling::Plain && byte == b'"' {
            return match keys.named(key.candidates) {
                Some(meaning) => (Read::Known(meaning), at + 1),
                None => (Read::Other, at),
            };
        }
        let longer = match key.spelling.read(byte) {
            Spelled::Unfinished(spelling) => Some(Key { spelling, ..key }),
            Spelled::Byte(byte) => {
                let candidates = keys.longer(key.candidates, byte);
                candidates.map(|candidates| Key { candidates, spelling: Spelling::Plain })
            }
            Spelled::Foreign => None,
        };
        let Some(longer) = longer else {
            // What a backslash escapes ends no string.
            return (Read::Other, at + usize::from(key.spelling == Spelling::Begun));
        };
        key = longer;
        at += 1;
    }
    (Read::Unfinished(key), at)
}

/// Where the string around `at` ends; if not in these bytes, whether the first of the next ones is escaped.
fn string_end(bytes: &[u8], mut at: usize, escaped: bool) -> (Option<usize>, bool) {
    at += usize::from(escaped);
    while at < bytes.len() {
        let Some(length) = memchr2(b'"', b'\\', &bytes[at..]) else { return (None, false) };
        at += length;
        if bytes[at] == b'"' {
            return (Some(at), false);
        }
        at += 2;
    }
    (None, at > bytes.len())
}

#[cfg(test)]
mod tests;
