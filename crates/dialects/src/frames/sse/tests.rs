use proptest::prelude::*;

use super::*;

/// An event without its lifetime.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owned {
    name: Option<String>,
    data: Option<Vec<u8>>,
    id: Option<String>,
    retry: Option<u64>,
    stray: Option<Vec<u8>>,
    span: (u64, u64),
    terminated: bool,
}

impl From<SseEvent<'_>> for Owned {
    fn from(event: SseEvent<'_>) -> Self {
        Self {
            name: event.name.map(Cow::into_owned),
            data: event.data.map(Cow::into_owned),
            id: event.id.map(Cow::into_owned),
            retry: event.retry,
            stray: event.stray.map(Cow::into_owned),
            span: (event.offset, event.payload_end),
            terminated: event.terminated,
        }
    }
}

fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Owned> {
    let mut framer = SseFramer::new();
    let mut events = Vec::new();
    for piece in pieces {
        framer.push(piece);
        while let Some(event) = framer.next_event() {
            events.push(event.into());
        }
    }
    events.extend(framer.finish().map(|last| last.event().into()));
    events
}

fn data(stream: &[u8]) -> Vec<String> {
    events([stream])
        .into_iter()
        .map(|event| String::from_utf8(event.data.unwrap_or_else(|| b"<none>".to_vec())).unwrap())
        .collect()
}

#[test]
fn all_three_line_ends_are_taken() {
    for stream in ["data: a\n\ndata: b\n\n", "data: a\r\n\r\ndata: b\r\n\r\n", "data: a\r\rdata: b\r\r"] {
        assert_eq!(data(stream.as_bytes()), ["a", "b"], "{stream:?}");
    }
    assert_eq!(data(b"data: a\r\n\rdata: b\n\r\n"), ["a", "b"]);
}

#[test]
fn comments_and_keep_alives_are_passed_over() {
    assert_eq!(data(b": OPENROUTER PROCESSING\n\n: ping - 2025\n\n\n\ndata: x\n: in between\n\n"), ["x"]);
}

#[test]
fn a_byte_order_mark_is_dropped_at_the_start_only() {
    assert_eq!(data(b"\xef\xbb\xbfdata: a\n\n"), ["a"]);
    assert_eq!(data(b"\xef\xbb\xbf: hello\n\ndata: a\n\n"), ["a"]);
    assert_eq!(data(b"data: \xef\xbb\xbfa\n\n"), ["\u{feff}a"]);
}

#[test]
fn several_data_lines_are_joined() {
    assert_eq!(data(b"data: {\ndata:  \"a\": 1\ndata\ndata:}\n\n"), ["{\n \"a\": 1\n\n}"]);
}

#[test]
fn name_id_and_retry_are_read() {
    let events =
        events([&b"id: 7\nevent: message_start\nretry: 1500\ndata:x\n\nretry: soon\ndata: y\n\n"[..]]);
    assert_eq!(events[0].name.as_deref(), Some("message_start"));
    assert_eq!((events[0].id.as_deref(), events[0].retry), (Some("7"), Some(1500)));
    assert_eq!((events[1].retry, events[1].name.clone()), (None, None));
}

#[test]
fn an_unterminated_last_event_is_given_and_flagged() {
    for last in ["data: b", "data: b\n", "data: b\r"] {
        let events = events([format!("data: a\n\n{last}").as_bytes()]);
        assert_eq!(
            events.iter().map(|event| event.terminated).collect::<Vec<_>>(),
            [true, false],
            "{last:?}"
        );
        assert_eq!(events[1].data.as_deref(), Some(&b"b"[..]), "{last:?}");
    }
    assert_eq!(events([&b""[..]]), []);
    assert_eq!(events([&b"data: a\n\n: bye"[..]]).len(), 1);
}

#[test]
fn offsets_say_where_an_event_and_its_payload_are() {
    let stream = b": hi\n\nevent: e\r\ndata: 12345\r\n\r\ndata: x\n\n";
    let events = events([&stream[..]]);
    assert_eq!(events[0].span, (6, 27));
    assert_eq!(&stream[6..27], b"event: e\r\ndata: 12345");
    assert_eq!(events[1].span, (31, 38));
}

#[test]
fn lines_that_are_no_field_are_kept_as_stray() {
    let events = events([&b"data: a\n\n{\n  \"error\": {\"code\": 503}\n}\n"[..]]);
    assert_eq!(events[1].stray.as_deref(), Some(&b"{\n  \"error\": {\"code\": 503}\n}"[..]));
    assert_eq!(events[1].data, None);
}

const EVERYTHING: &[u8] =
    "\u{feff}: ok\r\nevent: é字\r\ndata: 日本\ndata: 語🎉\n\nid:1\rdata:x\r\rdata: {\"a\":\"ü\"}\r\n\r\n\
    data: [DONE]\n\n{\"error\":1}\n\ndata: cut 尾"
        .as_bytes();

#[test]
fn every_split_offset_gives_the_same_events() {
    let whole = events([EVERYTHING]);
    assert_eq!(whole.len(), 6);
    for first in 0..=EVERYTHING.len() {
        for second in first..=EVERYTHING.len() {
            let pieces = [&EVERYTHING[..first], &EVERYTHING[first..second], &EVERYTHING[second..]];
            assert_eq!(events(pieces), whole, "split at {first} and {second}");
        }
    }
    assert_eq!(events(EVERYTHING.chunks(1)), whole);
}

proptest! {
    #[test]
    fn any_stream_in_any_pieces_gives_the_same_events(
        lines in proptest::collection::vec("(data: ?[a-z{}\"é]{0,6}|event: [a-z]{0,3}|id: 1|: c|[a-z{]{0,3}|)(\n|\r\n|\r)", 0..12),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let stream = lines.concat().into_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]);
        prop_assert_eq!(events(pieces), events([&stream[..]]));
    }

    #[test]
    fn garbage_never_panics(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..6)) {
        let _ = events(pieces.iter().map(Vec::as_slice));
    }
}
