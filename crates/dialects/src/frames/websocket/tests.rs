use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;

use super::*;

fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut frame = vec![first];
    let masked = if mask.is_some() { 0x80 } else { 0 };
    match payload.len() {
        length @ 0..126 => frame.push(masked | length as u8),
        length @ 126..65536 => {
            frame.push(masked | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(masked | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(mask.iter().flatten());
    let mask = mask.unwrap_or_default();
    frame.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    frame
}

fn texts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| message.text().into_owned()).collect()
}

/// All messages, the control frames, and whether the end is cut.
fn all(bytes: &[u8], deflate: Option<Deflate>) -> (Vec<Message>, Controls, bool) {
    let mut messages = messages(bytes, deflate);
    let list = messages.by_ref().collect();
    (list, messages.controls(), messages.is_cut())
}

fn compressed(state: &mut Compress, text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1000);
    state.compress_vec(text.as_bytes(), &mut bytes, FlushCompress::Sync).unwrap();
    bytes.truncate(bytes.len() - 4);
    bytes
}

#[test]
fn a_clients_frames_are_unmasked_and_fragments_joined() {
    let mask = Some([1, 2, 3, 250]);
    let mut bytes = frame(0x81, "{\"type\":\"session.update\"}".as_bytes(), mask);
    bytes.extend(frame(0x01, "früh".as_bytes(), mask));
    bytes.extend(frame(0x89, b"ping", mask));
    bytes.extend(frame(0x80, "stück".as_bytes(), mask));
    bytes.extend(frame(0x82, &vec![7; 70_000], mask));
    bytes.extend(frame(0x88, b"\x03\xe8bye", mask));
    let (messages, controls, cut) = all(&bytes, None);
    let kinds: Vec<Kind> = messages.iter().map(|message| message.kind).collect();
    assert_eq!(kinds, [Kind::Text, Kind::Text, Kind::Binary]);
    assert_eq!((texts(&messages)[1].as_str(), messages[2].payload.len()), ("frühstück", 70_000));
    assert_eq!((messages[2].end, cut), (bytes.len() as u64 - 11, false));
    assert_eq!(controls, Controls { pings: 1, pongs: 0, close: Some(Some(1000)) });
}

#[test]
fn control_frames_are_counted_and_not_kept() {
    let mut bytes = frame(0x89, b"", None).repeat(2_000_000);
    bytes.extend(frame(0x8a, b"pong", None).repeat(3));
    bytes.extend(frame(0x81, b"text", None));
    bytes.extend(frame(0x88, b"", None).repeat(2));
    let mut messages = messages(&bytes, None);
    assert_eq!(texts(&messages.by_ref().collect::<Vec<_>>()), ["text"]);
    assert_eq!(messages.controls(), Controls { pings: 2_000_000, pongs: 3, close: Some(None) });
    assert!(!messages.is_cut());
}

#[test]
fn compressed_messages_are_read_with_and_without_shared_context() {
    for context_takeover in [true, false] {
        let mut state = Compress::new(Compression::default(), false);
        let mut bytes = Vec::new();
        for text in ["hello hello hello hello", "hello hello hello again", ""] {
            bytes.extend(frame(0xc1, &compressed(&mut state, text), None));
            if !context_takeover {
                state.reset();
            }
        }
        bytes.extend(frame(0x81, b"plain", None));
        let (messages, ..) = all(&bytes, Some(Deflate { context_takeover }));
        assert_eq!(texts(&messages), ["hello hello hello hello", "hello hello hello again", "", "plain"]);
        assert!(messages.iter().all(|message| !message.cut));
    }
}

#[test]
fn the_agreed_compression_is_read_from_the_header() {
    let header = "permessage-deflate; server_no_context_takeover; client_max_window_bits=12";
    assert_eq!(Deflate::agreed(header, false), Some(Deflate { context_takeover: false }));
    assert_eq!(Deflate::agreed(header, true), Some(Deflate { context_takeover: true }));
    assert_eq!(Deflate::agreed("x-other", true), None);
}

#[test]
fn a_bomb_is_cut() {
    let mut state = Compress::new(Compression::default(), false);
    let mut payload = Vec::with_capacity(1 << 20);
    state.compress_vec(&vec![0; 40 << 20], &mut payload, FlushCompress::Sync).unwrap();
    let (messages, ..) = all(&frame(0xc2, &payload, None), Some(Deflate { context_takeover: true }));
    assert!(messages[0].cut && messages[0].payload.len() <= MESSAGE_LIMIT);
}

#[test]
fn a_cut_tunnel_gives_the_messages_before_the_cut() {
    let mut bytes = frame(0x81, b"one", None);
    bytes.extend(frame(0x81, b"two", None));
    for end in 5..bytes.len() {
        let (messages, _, cut) = all(&bytes[..end], None);
        assert_eq!((texts(&messages), cut), (vec!["one".to_owned()], end > 5), "{end}");
    }
    assert!(all(&frame(0x80, b"of nothing", None), None).2);
    assert!(all(&frame(0x83, b"?", None), None).2);
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), context_takeover: bool) {
        let _ = all(&bytes, None);
        let _ = all(&bytes, Some(Deflate { context_takeover }));
        let _ = all(&frame(0xc1, &bytes, None), Some(Deflate { context_takeover }));
    }
}
