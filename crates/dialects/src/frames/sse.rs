//! Server-sent events (WHATWG HTML, section 9.2), framed on bytes as they come.
//!
//! Sans-IO: bytes go in with [`SseFramer::push`], events come out with [`SseFramer::next_event`], and
//! [`SseFramer::finish`] gives what a stream that broke off left behind.

use std::borrow::Cow;
use std::ops::Range;

/// One event. Its bytes are borrowed from the framer wherever they need no joining.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseEvent<'a> {
    /// Its name; `None` where the stream gives none.
    pub name: Option<Cow<'a, str>>,
    /// Its data; several data lines are joined by `\n`. `None` where there was no data line.
    pub data: Option<Cow<'a, [u8]>>,
    /// Its id.
    pub id: Option<Cow<'a, str>>,
    /// How long a client should wait before it connects again, in milliseconds.
    pub retry: Option<u64>,
    /// Lines that are no field of an event, such as an error's JSON that was written into the stream without
    /// `data:`; joined by `\n`.
    pub stray: Option<Cow<'a, [u8]>>,
    /// Where in the stream its first line begins.
    pub offset: u64,
    /// Where in the stream its last line with data (or, without data, its last line) ends, its line end left out:
    /// the offset after that line's last byte.
    pub payload_end: u64,
    /// Whether an empty line ended it. If not, the stream ended first.
    pub terminated: bool,
}

/// Lines of one event that are kept; the places of a hundred million empty ones would take more than their bytes.
const MOST_LINES: usize = 1 << 16;

/// Cuts a stream of bytes into events, wherever the stream was cut into pieces.
#[derive(Debug, Default)]
pub struct SseFramer {
    buffer: Vec<u8>,
    /// Where in the stream the buffer begins.
    base: u64,
    /// Where in the buffer the next line begins.
    line: usize,
    /// Up to where in the buffer the next line was searched for its end.
    searched: usize,
    /// The last line ended in CR: an LF that follows belongs to it.
    after_cr: bool,
    begun: bool,
    event: Lines,
}

/// The lines of the event that is being read, as ranges of the buffer.
#[derive(Debug, Default, Clone)]
struct Lines {
    offset: Option<usize>,
    end: usize,
    data_end: Option<usize>,
    name: Option<Range<usize>>,
    id: Option<Range<usize>>,
    retry: Option<u64>,
    data: Vec<Range<usize>>,
    stray: Vec<Range<usize>>,
}

impl SseFramer {
    /// A framer at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the stream. What was read of earlier ones is forgotten.
    pub fn push(&mut self, bytes: &[u8]) {
        self.forget();
        self.buffer.extend_from_slice(bytes);
    }

    /// The next event that is complete. Events without any field (comments, keep-alives) are passed over.
    pub fn next_event(&mut self) -> Option<SseEvent<'_>> {
        loop {
            let line = self.next_line()?;
            if let Some(lines) = self.event.take_line(&self.buffer, line) {
                return Some(lines.event(&self.buffer, self.base, true));
            }
        }
    }

    /// What is left when the stream has ended: an event that no empty line ended.
    pub fn finish(mut self) -> Option<Unterminated> {
        let rest = self.line..self.buffer.len();
        if !rest.is_empty() {
            let rest = if self.begun { rest } else { skip_bom(&self.buffer, rest) };
            if !rest.is_empty() {
                // Not empty, hence no event ends here.
                self.event.take_line(&self.buffer, rest);
            }
        }
        self.event.offset?;
        Some(Unterminated { lines: self.event, buffer: self.buffer, base: self.base })
    }

    fn forget(&mut self) {
        let keep = self.event.offset.unwrap_or(self.line).min(self.line);
        if keep == 0 {
            return;
        }
        self.buffer.drain(..keep);
        self.base += keep as u64;
        self.line -= keep;
        self.searched = self.searched.saturating_sub(keep);
        self.event.shift(keep);
    }

    /// The next whole line, without its end.
    fn next_line(&mut self) -> Option<Range<usize>> {
        if self.after_cr {
            if *self.buffer.get(self.line)? == b'\n' {
                self.line += 1;
            }
            self.after_cr = false;
        }
        let from = self.searched.max(self.line);
        let Some(end) = memchr::memchr2(b'\n', b'\r', &self.buffer[from..]).map(|at| from + at) else {
            self.searched = self.buffer.len();
            return None;
        };
        let line = self.line..end;
        self.after_cr = self.buffer[end] == b'\r';
        self.line = end + 1;
        self.searched = self.line;
        let line = if self.begun { line } else { skip_bom(&self.buffer, line) };
        self.begun = true;
        Some(line)
    }
}

/// An event that the stream's end cut off.
#[derive(Debug)]
pub struct Unterminated {
    lines: Lines,
    buffer: Vec<u8>,
    base: u64,
}

impl Unterminated {
    /// The event.
    pub fn event(&self) -> SseEvent<'_> {
        self.lines.clone().event(&self.buffer, self.base, false)
    }
}

fn skip_bom(buffer: &[u8], line: Range<usize>) -> Range<usize> {
    if buffer[line.clone()].starts_with(b"\xef\xbb\xbf") { line.start + 3..line.end } else { line }
}

impl Lines {
    /// Takes a line; the lines of an event, if this one ended it.
    fn take_line(&mut self, buffer: &[u8], line: Range<usize>) -> Option<Self> {
        if line.is_empty() {
            let lines = std::mem::take(self);
            return lines.offset.is_some().then_some(lines);
        }
        let bytes = &buffer[line.clone()];
        let colon = memchr::memchr(b':', bytes);
        let (field, value) = match colon {
            Some(0) => return None,
            Some(colon) => {
                let space = usize::from(bytes.get(colon + 1) == Some(&b' '));
                (&bytes[..colon], line.start + colon + 1 + space..line.end)
            }
            None => (bytes, line.end..line.end),
        };
        match field {
            b"data" if self.data.len() < MOST_LINES => {
                self.data.push(value);
                self.data_end = Some(line.end);
            }
            b"event" => self.name = Some(value),
            b"id" if !buffer[value.clone()].contains(&0) => self.id = Some(value),
            b"id" => {}
            b"retry" => {
                self.retry = std::str::from_utf8(&buffer[value]).ok().and_then(|text| text.parse().ok());
            }
            b"data" => {}
            _ if self.stray.len() < MOST_LINES => self.stray.push(line.clone()),
            _ => {}
        }
        self.offset.get_or_insert(line.start);
        self.end = line.end;
        None
    }

    fn shift(&mut self, by: usize) {
        let shift = |range: &mut Range<usize>| *range = range.start - by..range.end - by;
        self.data.iter_mut().chain(&mut self.stray).for_each(shift);
        self.name.iter_mut().chain(&mut self.id).for_each(shift);
        self.offset = self.offset.map(|offset| offset - by);
        self.end = self.end.saturating_sub(by);
        self.data_end = self.data_end.map(|end| end - by);
    }

    fn event(self, buffer: &[u8], base: u64, terminated: bool) -> SseEvent<'_> {
        let text = |range: Range<usize>| String::from_utf8_lossy(&buffer[range]);
        SseEvent {
            name: self.name.map(text),
            data: joined(buffer, &self.data),
            id: self.id.map(text),
            retry: self.retry,
            stray: joined(buffer, &self.stray),
            offset: base + self.offset.unwrap_or(self.end) as u64,
            payload_end: base + self.data_end.unwrap_or(self.end) as u64,
            terminated,
        }
    }
}

fn joined<'a>(buffer: &'a [u8], lines: &[Range<usize>]) -> Option<Cow<'a, [u8]>> {
    match lines {
        [] => None,
        [line] => Some(Cow::Borrowed(&buffer[line.clone()])),
        lines => {
            let lines: Vec<&[u8]> = lines.iter().map(|line| &buffer[line.clone()]).collect();
            Some(Cow::Owned(lines.join(&b'\n')))
        }
    }
}

#[cfg(test)]
mod tests;
