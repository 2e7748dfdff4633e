//! A JSON array that is written element by element (Gemini's streams without `alt=sse`).
//!
//! Sans-IO: bytes go in with [`JsonArrayFramer::push`], elements come out with [`JsonArrayFramer::next_element`] as
//! soon as they are whole.

/// One element of the array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    /// Its bytes: one JSON value, if what was sent is JSON.
    pub bytes: &'a [u8],
    /// The offset in the stream after its last byte.
    pub end: u64,
}

/// Cuts an array into elements, wherever the stream was cut into pieces.
#[derive(Debug, Default)]
pub struct JsonArrayFramer {
    buffer: Vec<u8>,
    base: u64,
    /// Up to where the buffer was looked at.
    at: usize,
    /// Where the element that is being read begins.
    start: Option<usize>,
    /// Open brackets, the array's own counted.
    depth: usize,
    in_string: bool,
    escaped: bool,
    closed: bool,
}

impl JsonArrayFramer {
    /// A framer at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the stream. What was read of earlier ones is forgotten.
    pub fn push(&mut self, bytes: &[u8]) {
        let keep = self.start.unwrap_or(self.at);
        self.buffer.drain(..keep);
        self.base += keep as u64;
        self.at -= keep;
        self.start = self.start.map(|_| 0);
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole element.
    pub fn next_element(&mut self) -> Option<Element<'_>> {
        while let Some(&byte) = self.buffer.get(self.at) {
            let here = self.at;
            self.at += 1;
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            if self.depth == 0 {
                // Outside of the array: its opening bracket, white space, or what follows its end.
                self.depth += usize::from(byte == b'[' && !self.closed);
                continue;
            }
            let outermost = self.depth == 1;
            match byte {
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth -= 1,
                b'"' => self.in_string = true,
                _ => {}
            }
            self.closed |= self.depth == 0;
            if outermost && (byte == b',' || self.depth == 0) {
                if let Some(start) = self.start.take() {
                    return Some(self.cut(start, here));
                }
            } else if !byte.is_ascii_whitespace() {
                self.start.get_or_insert(here);
                // An object or list is whole at its closing bracket: whoever waits for the comma after it waits
                // for the next element.
                if self.depth == 1 && !outermost {
                    let start = self.start.take().unwrap_or(here);
                    return Some(self.cut(start, here + 1));
                }
            }
        }
        None
    }

    /// Whether the array was closed.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// What is left of an element that the stream's end cut off.
    pub fn finish(&self) -> Option<&[u8]> {
        self.start.map(|start| &self.buffer[start..])
    }

    fn cut(&self, start: usize, end: usize) -> Element<'_> {
        let bytes = self.buffer[start..end].trim_ascii_end();
        Element { bytes, end: self.base + (start + bytes.len()) as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(pieces: &[&[u8]]) -> (Vec<(String, u64)>, bool, Option<String>) {
        let mut framer = JsonArrayFramer::new();
        let mut elements = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        for piece in pieces {
            framer.push(piece);
            while let Some(element) = framer.next_element() {
                elements.push((text(element.bytes), element.end));
            }
        }
        (elements, framer.is_closed(), framer.finish().map(text))
    }

    #[test]
    fn every_split_offset_gives_the_same_elements() {
        let stream = "[{\"a\": \"]},{[\\\"\"}\n,\r\n{\"字\": [1, {}]}, 12 ,\"x\"]\n".as_bytes();
        let whole = elements(&[stream]);
        let texts: Vec<&str> = whole.0.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(texts, ["{\"a\": \"]},{[\\\"\"}", "{\"字\": [1, {}]}", "12", "\"x\""]);
        assert_eq!((whole.0[0].1, whole.1, &whole.2), (17, true, &None));
        for at in 0..=stream.len() {
            assert_eq!(elements(&[&stream[..at], &stream[at..]]), whole, "split at {at}");
        }
    }

    #[test]
    fn a_cut_array_gives_its_whole_elements_and_what_is_left() {
        let (whole, closed, left) = elements(&[b"[{\"a\":1},\n{\"b\":"]);
        assert_eq!((whole.len(), closed, left.as_deref()), (1, false, Some("{\"b\":")));
        assert_eq!(elements(&[b"[]"]), (Vec::new(), true, None));
        assert_eq!(elements(&[b"]]]}}"]).0.len(), 0);
    }
}
