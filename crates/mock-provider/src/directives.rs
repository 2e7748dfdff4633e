//! What a caller may ask of the mock in the `x-mock` header.

use std::time::Duration;

use http::StatusCode;

/// The header that carries directives, such as `delay-head=200ms; chunks=50; reset-after=3`.
pub const DIRECTIVES_HEADER: &str = "x-mock";

/// The largest text (in bytes) that `size` may ask of an endpoint that builds its answer in memory.
const LARGEST_SIZE: u64 = 1 << 40;
const MOST_CHUNKS: u64 = 1_000_000;
const LONGEST_DELAY: Duration = Duration::from_secs(3600);

/// How one call is to be answered. The names in the header are the fields' names with dashes; flags stand
/// alone or with `=1`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directives {
    /// `delay-head=200ms`: waits so long before the response's head.
    pub delay_head: Duration,
    /// `chunk-delay=5ms`: waits so long before every chunk but the first.
    pub chunk_delay: Duration,
    /// `chunks=50`: a stream's text comes in so many deltas; a whole body in so many writes.
    pub chunks: Option<usize>,
    /// `chunk-bytes=64`: the body is cut into writes of so many bytes, wherever its frames end.
    pub chunk_bytes: Option<usize>,
    /// `size=20000000`: the answer's text (`/raw`: the body; embeddings: ignored) has at least so many bytes.
    pub size: Option<u64>,
    /// `status=429`: answers with this status; from 400 on with an error body in the dialect's shape.
    pub status: Option<StatusCode>,
    /// `retry-after=1`: adds the header, in seconds.
    pub retry_after: Option<u64>,
    /// `reset-after=3`, `close-after=3`, `hang-after=3` (chunks), `reset=head`, `close=head`, `hang=head|body`.
    pub fault: Option<Fault>,
    /// `encoding=gzip|deflate|br|zstd`: compresses the body, a stream frame by frame.
    pub encoding: Option<Encoding>,
    /// `crlf`: event streams end their lines with CR LF.
    pub crlf: bool,
    /// `split`: cuts frames at odd byte offsets, within UTF-8 sequences too.
    pub split: bool,
    /// `flush`: every chunk is written to the socket before the next is made.
    pub flush: bool,
    /// `no-done`: leaves out the last `[DONE]`.
    pub no_done: bool,
    /// `double-done`: sends the last `[DONE]` twice.
    pub double_done: bool,
    /// `no-usage`: leaves out usage.
    pub no_usage: bool,
    /// `bom`: an event stream begins with a byte order mark.
    pub bom: bool,
    /// `comments`: keepalive comments between an event stream's events.
    pub comments: bool,
    /// `multi-line`: an event's JSON is spread over several `data:` lines.
    pub multi_line: bool,
    /// `error-in-stream`: half-way, the stream says that it failed, in the dialect's words.
    pub error_in_stream: bool,
    /// `finish=length`: why the answer ends.
    pub finish: Option<Finish>,
    /// `trailers`: sends trailers after the body, to callers that say `te: trailers`.
    pub trailers: bool,
    /// `early`: acts on the head alone, without reading the request's body.
    pub early: bool,
}

/// What goes wrong, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// When.
    pub point: FaultPoint,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The connection is reset (TCP RST; on HTTP/2 the stream).
    Reset,
    /// The connection is closed (TCP FIN) before the body has ended.
    Close,
    /// Nothing more is sent until the caller leaves.
    Hang,
}

/// When it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultPoint {
    /// Before the response's head.
    Head,
    /// After so many chunks of the body were written to the socket.
    Chunks(usize),
}

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950, as RFC 9110 means it.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
}

impl Encoding {
    /// The coding's name in `content-encoding`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The answer was complete.
    Stop,
    /// The limit of output tokens was reached.
    Length,
    /// Tools are to be called.
    ToolCalls,
    /// A filter refused it.
    ContentFilter,
}

/// A directive that the mock does not understand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("x-mock: {0}")]
pub struct DirectiveError(String);

impl Directives {
    /// Reads directives such as `delay-head=200ms; no-done`, separated by semicolons.
    ///
    /// # Errors
    /// Names the directive that is unknown or malformed, and what was expected.
    pub fn parse(text: &str) -> Result<Self, DirectiveError> {
        Self::default().overridden_by(text)
    }

    /// These directives, with those in `text` put over them.
    ///
    /// # Errors
    /// As [`Directives::parse`].
    pub fn overridden_by(&self, text: &str) -> Result<Self, DirectiveError> {
        let mut directives = self.clone();
        for item in text.split(';').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, value) = match item.split_once('=') {
                Some((name, value)) => (name.trim_end(), Some(value.trim_start())),
                None => (item, None),
            };
            directives.set(name, value)?;
        }
        Ok(directives)
    }

    fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), DirectiveError> {
        let given = Given { name, value };
        match name {
            "delay-head" => self.delay_head = given.duration()?,
            "chunk-delay" => self.chunk_delay = given.duration()?,
            "chunks" => self.chunks = Some(given.count(1..=MOST_CHUNKS)?),
            "chunk-bytes" => self.chunk_bytes = Some(given.count(1..=LARGEST_SIZE)?),
            "size" => self.size = Some(given.number(0..=LARGEST_SIZE)?),
            "status" => {
                let number = given.number(200..=599)?;
                self.status = u16::try_from(number).ok().and_then(|code| StatusCode::from_u16(code).ok());
            }
            "retry-after" => self.retry_after = Some(given.number(0..=86_400)?),
            "reset" | "close" | "hang" => self.fault = Some(given.fault()?),
            "reset-after" => self.fault = Some(given.fault_after(FaultKind::Reset)?),
            "close-after" => self.fault = Some(given.fault_after(FaultKind::Close)?),
            "hang-after" => self.fault = Some(given.fault_after(FaultKind::Hang)?),
            "encoding" => self.encoding = given.encoding()?,
            "finish" => self.finish = Some(given.finish()?),
            "crlf" => self.crlf = given.flag()?,
            "split" => self.split = given.flag()?,
            "flush" => self.flush = given.flag()?,
            "no-done" => self.no_done = given.flag()?,
            "double-done" => self.double_done = given.flag()?,
            "no-usage" => self.no_usage = given.flag()?,
            "bom" => self.bom = given.flag()?,
            "comments" => self.comments = given.flag()?,
            "multi-line" => self.multi_line = given.flag()?,
            "error-in-stream" => self.error_in_stream = given.flag()?,
            "trailers" => self.trailers = given.flag()?,
            "early" => self.early = given.flag()?,
            _ => return Err(DirectiveError(format!("unknown directive `{name}`"))),
        }
        Ok(())
    }
}

/// A directive as it was written.
struct Given<'a> {
    name: &'a str,
    value: Option<&'a str>,
}

impl Given<'_> {
    fn wrong(&self, expected: &str) -> DirectiveError {
        let came = self.value.map_or_else(|| "nothing".to_owned(), |value| format!("`{value}`"));
        DirectiveError(format!("`{}` expects {expected}, got {came}", self.name))
    }

    fn flag(&self) -> Result<bool, DirectiveError> {
        match self.value {
            None | Some("1" | "true") => Ok(true),
            Some("0" | "false") => Ok(false),
            Some(_) => Err(self.wrong("no value, 1 or 0")),
        }
    }

    fn number(&self, range: std::ops::RangeInclusive<u64>) -> Result<u64, DirectiveError> {
        self.value
            .and_then(|value| value.parse().ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.wrong(&format!("a number from {} to {}", range.start(), range.end())))
    }

    fn count(&self, range: std::ops::RangeInclusive<u64>) -> Result<usize, DirectiveError> {
        let number = self.number(range)?;
        usize::try_from(number).map_err(|_| self.wrong("a smaller number"))
    }

    fn duration(&self) -> Result<Duration, DirectiveError> {
        let wrong = || self.wrong("a duration such as 250us, 200ms, 1.5s or 2m, an hour at most");
        let value = self.value.ok_or_else(wrong)?;
        let digits = value.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, unit) = value.split_at(digits);
        let seconds = match unit {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        Duration::try_from_secs_f64(number * seconds)
            .ok()
            .filter(|duration| *duration <= LONGEST_DELAY)
            .ok_or_else(wrong)
    }

    fn fault(&self) -> Result<Fault, DirectiveError> {
        let kind = match self.name {
            "reset" => FaultKind::Reset,
            "close" => FaultKind::Close,
            _ => FaultKind::Hang,
        };
        let point = match self.value {
            Some("head") => FaultPoint::Head,
            Some("body") => FaultPoint::Chunks(1),
            _ => return Err(self.wrong("head or body")),
        };
        Ok(Fault { kind, point })
    }

    fn fault_after(&self, kind: FaultKind) -> Result<Fault, DirectiveError> {
        Ok(Fault { kind, point: FaultPoint::Chunks(self.count(0..=MOST_CHUNKS)?) })
    }

    fn encoding(&self) -> Result<Option<Encoding>, DirectiveError> {
        match self.value {
            Some("gzip") => Ok(Some(Encoding::Gzip)),
            Some("deflate") => Ok(Some(Encoding::Deflate)),
            Some("br") => Ok(Some(Encoding::Brotli)),
            Some("zstd") => Ok(Some(Encoding::Zstd)),
            Some("identity") => Ok(None),
            _ => Err(self.wrong("gzip, deflate, br, zstd or identity")),
        }
    }

    fn finish(&self) -> Result<Finish, DirectiveError> {
        match self.value {
            Some("stop") => Ok(Finish::Stop),
            Some("length") => Ok(Finish::Length),
            Some("tool_calls") => Ok(Finish::ToolCalls),
            Some("content_filter") => Ok(Finish::ContentFilter),
            _ => Err(self.wrong("stop, length, tool_calls or content_filter")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_list() {
        let read =
            Directives::parse("delay-head=200ms; chunks=50;chunk-delay = 1.5s ; no-done; split=1;").unwrap();
        let expected = Directives {
            delay_head: Duration::from_millis(200),
            chunk_delay: Duration::from_millis(1500),
            chunks: Some(50),
            no_done: true,
            split: true,
            ..Directives::default()
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn puts_a_call_over_the_defaults() {
        let defaults = Directives::parse("chunk-delay=20ms; flush").unwrap();
        let call = defaults.overridden_by("flush=0; hang=body").unwrap();
        assert_eq!(call.chunk_delay, Duration::from_millis(20));
        assert!(!call.flush);
        assert_eq!(call.fault, Some(Fault { kind: FaultKind::Hang, point: FaultPoint::Chunks(1) }));
    }

    #[test]
    fn says_what_was_expected() {
        for (text, message) in [
            ("delai=1s", "x-mock: unknown directive `delai`"),
            ("chunks=many", "x-mock: `chunks` expects a number from 1 to 1000000, got `many`"),
            ("hang", "x-mock: `hang` expects head or body, got nothing"),
            ("encoding=lzma", "x-mock: `encoding` expects gzip, deflate, br, zstd or identity, got `lzma`"),
            ("crlf=maybe", "x-mock: `crlf` expects no value, 1 or 0, got `maybe`"),
        ] {
            assert_eq!(Directives::parse(text).unwrap_err().to_string(), message);
        }
        for text in [
            "delay-head=5",
            "delay-head=2h",
            "delay-head=1e9s",
            "delay-head=-1s",
            "delay-head=2h",
            "status=99",
        ] {
            assert!(Directives::parse(text).is_err(), "{text}");
        }
    }
}
