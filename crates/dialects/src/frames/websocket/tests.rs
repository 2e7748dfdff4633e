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

fn texts(messages: &Messages) -> Vec<String> {
    messages.list.iter().map(|message| message.text().into_owned()).collect()
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
    let messages = messages(&bytes, None);
    let kinds: Vec<Kind> = messages.list.iter().map(|message| message.kind).collect();
    assert_eq!(kinds, [Kind::Text, Kind::Ping, Kind::Text, Kind::Binary, Kind::Close(Some(1000))]);
    assert_eq!(texts(&messages)[2], "frühstück");
    assert_eq!((messages.list[3].payload.len(), texts(&messages)[4].as_str()), (70_000, "bye"));
    assert_eq!((messages.list[4].end, messages.cut), (bytes.len() as u64, false));
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
        let messages = messages(&bytes, Some(Deflate { context_takeover }));
        assert_eq!(texts(&messages), ["hello hello hello hello", "hello hello hello again", "", "plain"]);
        assert!(messages.list.iter().all(|message| !message.cut));
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
    let messages = messages(&frame(0xc2, &payload, None), Some(Deflate { context_takeover: true }));
    assert!(messages.list[0].cut && messages.list[0].payload.len() <= MESSAGE_LIMIT);
}

#[test]
fn a_cut_tunnel_gives_the_messages_before_the_cut() {
    let mut bytes = frame(0x81, b"one", None);
    bytes.extend(frame(0x81, b"two", None));
    for end in 5..bytes.len() {
        let messages = messages(&bytes[..end], None);
        assert_eq!((texts(&messages), messages.cut), (vec!["one".to_owned()], end > 5), "{end}");
    }
    assert!(messages(&frame(0x80, b"of nothing", None), None).cut);
    assert!(messages(&frame(0x83, b"?", None), None).cut);
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), context_takeover: bool) {
        let _ = messages(&bytes, None);
        let _ = messages(&bytes, Some(Deflate { context_takeover }));
        let _ = messages(&frame(0xc1, &bytes, None), Some(Deflate { context_takeover }));
    }
}
