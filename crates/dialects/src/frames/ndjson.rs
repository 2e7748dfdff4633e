//! Lines of JSON (`application/x-ndjson`): one value a line.
//!
//! Sans-IO: bytes go in with [`NdjsonFramer::push`], lines come out with [`NdjsonFramer::next_line`].

/// One line that is not blank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its bytes, without white space around them.
    pub bytes: &'a [u8],
    /// The offset in the stream after its last byte.
    pub end: u64,
    /// Whether a line end followed it. If not, the stream ended first.
    pub terminated: bool,
}

/// Cuts a stream of bytes into lines, wherever the stream was cut into pieces.
#[derive(Debug, Default)]
pub struct NdjsonFramer {
    buffer: Vec<u8>,
    base: u64,
    line: usize,
    searched: usize,
}

impl NdjsonFramer {
    /// A framer at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the stream. What was read of earlier ones is forgotten.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.line);
        self.base += self.line as u64;
        self.searched = self.searched.saturating_sub(self.line);
        self.line = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line that is not blank.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        loop {
            let from = self.searched.max(self.line);
            let Some(end) = memchr::memchr(b'\n', &self.buffer[from..]).map(|at| from + at) else {
                self.searched = self.buffer.len();
                return None;
            };
            let start = std::mem::replace(&mut self.line, end + 1);
            if !self.buffer[start..end].trim_ascii().is_empty() {
                return Some(self.cut(start, end, true));
            }
        }
    }

    /// What is left when the stream has ended, once there is no further whole line.
    pub fn finish(&self) -> Option<Line<'_>> {
        let left = self.cut(self.line, self.buffer.len(), false);
        (!left.bytes.is_empty()).then_some(left)
    }

    fn cut(&self, start: usize, end: usize, terminated: bool) -> Line<'_> {
        let line = self.buffer[start..end].trim_ascii_end();
        let end = self.base + (start + line.len()) as u64;
        Line { bytes: line.trim_ascii_start(), end, terminated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<(Vec<u8>, u64, bool)> {
        let mut framer = NdjsonFramer::new();
        let mut lines = Vec::new();
        for piece in pieces {
            framer.push(piece);
            while let Some(line) = framer.next_line() {
                lines.push((line.bytes.to_vec(), line.end, line.terminated));
            }
        }
        lines.extend(framer.finish().map(|line| (line.bytes.to_vec(), line.end, line.terminated)));
        lines
    }

    #[test]
    fn every_split_offset_gives_the_same_lines() {
        let stream = "{\"a\":1}\r\n\n {\"b\":\"字\"} \n{\"cut".as_bytes();
        let whole = lines(&[stream]);
        let expected = [("{\"a\":1}", 7, true), ("{\"b\":\"字\"}", 22, true), ("{\"cut", 29, false)];
        assert_eq!(whole, expected.map(|(text, end, whole)| (text.as_bytes().to_vec(), end, whole)));
        for at in 0..=stream.len() {
            assert_eq!(lines(&[&stream[..at], &stream[at..]]), whole, "split at {at}");
        }
    }
}
