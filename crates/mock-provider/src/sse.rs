//! Writing event streams, well-formed or as oddly as directives ask.

use crate::answer::{Answer, Frames, Payload};
use crate::directives::Directives;

/// An event stream in the making; one event is one frame.
pub(crate) struct EventStream {
    frames: Frames,
    line_end: &'static str,
    comments: bool,
    multi_line: bool,
    no_done: bool,
    double_done: bool,
}

impl EventStream {
    /// A stream with line feeds, unless directives say CR LF.
    pub(crate) fn new(directives: &Directives) -> Self {
        Self::with_line_end(directives, if directives.crlf { "\r\n" } else { "\n" })
    }

    /// A stream with CR LF, as Google sends it.
    pub(crate) fn crlf(directives: &Directives) -> Self {
        Self::with_line_end(directives, "\r\n")
    }

    fn with_line_end(directives: &Directives, line_end: &'static str) -> Self {
        let mut frames = Frames::default();
        if directives.bom {
            frames.bytes.extend_from_slice("\u{feff}".as_bytes());
        }
        Self {
            frames,
            line_end,
            comments: directives.comments,
            multi_line: directives.multi_line,
            no_done: directives.no_done,
            double_done: directives.double_done,
        }
    }

    /// An event without a name.
    pub(crate) fn data(&mut self, json: &[u8]) {
        self.event(None, json);
    }

    /// An event whose JSON is given.
    pub(crate) fn event(&mut self, name: Option<&str>, json: &[u8]) {
        if self.comments {
            self.line(&[b": keepalive"]);
            self.end();
        }
        if let Some(name) = name {
            self.line(&[b"event: ", name.as_bytes()]);
        }
        let spread = if self.multi_line { spread(json) } else { None };
        match &spread {
            Some(lines) => lines.lines().for_each(|line| self.line(&[b"data: ", line.as_bytes()])),
            None => self.line(&[b"data: ", json]),
        }
        self.end();
    }

    /// The `[DONE]` that OpenAI ends its streams with.
    pub(crate) fn done(&mut self) {
        let times = if self.no_done { 0 } else { 1 + usize::from(self.double_done) };
        for _ in 0..times {
            self.line(&[b"data: [DONE]"]);
            self.end();
        }
    }

    fn line(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.frames.bytes.extend_from_slice(part);
        }
        self.frames.bytes.extend_from_slice(self.line_end.as_bytes());
    }

    fn end(&mut self) {
        self.frames.bytes.extend_from_slice(self.line_end.as_bytes());
        self.frames.end();
    }

    pub(crate) fn finish(self, content_type: &'static str) -> Answer {
        Answer::new(content_type, Payload::Frames(self.frames)).with_header("cache-control", "no-cache")
    }
}

/// JSON over several lines; `None` if it is none.
fn spread(json: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(json).ok()?;
    serde_json::to_string_pretty(&value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(directives: &str) -> String {
        let mut stream = EventStream::new(&Directives::parse(directives).unwrap());
        stream.event(Some("ping"), br#"{"a":1}"#);
        stream.done();
        match stream.finish("text/event-stream").payload {
            Payload::Frames(frames) => {
                assert_eq!(frames.ends.last(), Some(&frames.bytes.len()));
                String::from_utf8(frames.bytes).unwrap()
            }
            _ => unreachable!("a stream has frames"),
        }
    }

    #[test]
    fn writes_what_directives_ask() {
        assert_eq!(written(""), "event: ping\ndata: {\"a\":1}\n\ndata: [DONE]\n\n");
        assert_eq!(written("crlf; no-done"), "event: ping\r\ndata: {\"a\":1}\r\n\r\n");
        assert_eq!(written("multi-line; no-done"), "event: ping\ndata: {\ndata:   \"a\": 1\ndata: }\n\n");
        assert!(written("double-done").ends_with("data: [DONE]\n\ndata: [DONE]\n\n"));
        assert!(written("bom; comments").starts_with("\u{feff}: keepalive\n\n"));
    }
}
