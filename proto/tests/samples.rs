//! What was once written stays readable: one file of samples for each version of the schema, for ever.

use std::path::PathBuf;

use bytes::{Buf, Bytes};
use verbatim_core::model::{ChunkTime, ExchangeId, Leg, Timestamp};
use verbatim_proto::v1::envelope::Message;
use verbatim_proto::v1::{Attempt, Caller, End, Head, Header, LegSummary, Part, Start};
use verbatim_proto::{decode, delta_encode, encode, piece};

const GATEWAY: &str = "g-0123456789abcdef";

fn exchange() -> ExchangeId {
    ExchangeId::lowest_at(Timestamp::from_unix_ms(1_795_300_000_123))
}

fn header(name: &str, value: &'static [u8]) -> Header {
    Header { name: name.to_owned().into(), value: Bytes::from_static(value) }
}

fn start() -> Start {
    Start {
        began_unix_us: 1_795_300_000_123_456,
        method: "POST".to_owned(),
        path: "/v1/chat/completions?key=redacted:00".to_owned(),
        version: "HTTP/1.1".into(),
        headers: vec![header("content-type", b"application/json"), header("x-odd", b"\xff\x80 not UTF-8")],
        caller: Some(Caller {
            app: Some("curl".to_owned()),
            project: Some("p".to_owned()),
            key: Some("k".to_owned()),
            owner: Some("o".to_owned()),
            credential: Some("c0ffee".to_owned()),
            client_address: Some("127.0.0.1".to_owned()),
        }),
        provider: "openai".to_owned(),
        provider_dialect: 1,
        upstream_url: "https://api.openai.com/v1/chat/completions".to_owned(),
        session: Some("s".to_owned()),
        tags: vec!["one".to_owned(), "两".to_owned()],
        record: 1,
        trace_id: Some("0af7651916cd43dd8448eb211c80319c".to_owned()),
        model_asked: Some("gpt-4o-mini".to_owned()),
        stream_asked: Some(true),
        request: Some(piece(
            Leg::ClientRequest,
            0,
            Bytes::from_static(b"{\"model\":"),
            &[ChunkTime { offset: 0, at_us: 11 }],
        )),
    }
}

fn head() -> Head {
    Head {
        leg: u32::from(Leg::ClientResponse.number()),
        version: "HTTP/1.1".into(),
        status: Some(200),
        headers: vec![header("content-type", b"text/event-stream")],
        at_us: 4_000,
    }
}

fn part() -> Part {
    let times = [ChunkTime { offset: 3, at_us: 5_000 }, ChunkTime { offset: 5, at_us: 5_500 }];
    Part {
        pieces: vec![piece(Leg::ClientResponse, 3, Bytes::from_static(b"abcdef"), &times)],
        heads: vec![head()],
        ..Part::default()
    }
}

fn manifest() -> Part {
    Part { sequences: delta_encode([7, 8, 1_000_000]), ..Part::default() }
}

fn carry() -> Part {
    Part { carried: delta_encode([5, 9]), ..Part::default() }
}

fn end() -> End {
    End {
        outcome: 3,
        status: Some(200),
        error: Some("the caller left".to_owned()),
        duration_us: 9_000_000,
        first_byte_us: Some(4_100),
        relay_us: Some(90),
        attempts: vec![Attempt {
            provider: "openai".to_owned(),
            url: "https://api.openai.com/v1/chat/completions".to_owned(),
            status: Some(200),
            error: Some("none".to_owned()),
            started_us: 20,
            ended_us: Some(4_000),
        }],
        legs: vec![LegSummary {
            leg: u32::from(Leg::ClientResponse.number()),
            length: 9,
            hash: vec![7; 32],
            lost: 2,
            trailers: vec![header("x-trailer", b"1")],
            withheld: true,
            stored_hash: vec![8; 32],
        }],
        heads: vec![head()],
        pieces: vec![piece(Leg::ClientResponse, 9, Bytes::from_static(b"end"), &[])],
        sequences: delta_encode([3, 4, 9]),
        notes: vec!["a note".to_owned()],
        facts: [("fact".to_owned(), "值".to_owned())].into(),
        manifests: delta_encode([12, 13]),
        provider: "openai".to_owned(),
        start: None,
    }
}

/// One message of every kind, with every field set.
fn messages() -> Vec<Message> {
    let long = Bytes::from(b"data: {\"delta\":\"x\"}\n\n".repeat(400));
    let packed = piece(Leg::ClientResponse, 0, long, &[]);
    vec![
        Message::Start(start()),
        Message::Part(part()),
        Message::Part(manifest()),
        Message::End(end()),
        Message::End(End {
            start: Some(Box::new(start())),
            sequences: Vec::new(),
            manifests: Vec::new(),
            ..end()
        }),
        Message::Part(Part { pieces: vec![packed], ..Part::default() }),
        Message::Part(carry()),
    ]
}

#[test]
fn what_version_1_0_wrote_is_read() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples/v1.0.bin");
    let mut samples = Bytes::from(std::fs::read(&file).unwrap());
    let mut read = Vec::new();
    while samples.has_remaining() {
        let length = samples.get_u32_le() as usize;
        let decoded = decode(samples.split_to(length)).unwrap();
        read.push((decoded.exchange, decoded.gateway, decoded.message));
    }
    let expected: Vec<_> =
        messages().into_iter().map(|message| (exchange(), GATEWAY.to_owned(), message)).collect();
    assert_eq!(read, expected);
}

#[test]
fn the_samples_hold_every_kind_in_every_form() {
    let encoded: Vec<_> =
        messages().into_iter().map(|message| encode(exchange(), GATEWAY, message)).collect();
    let packed = messages().len() - 2;
    assert!(encoded[packed].len() < 1000, "the last but one is packed");
    for (encoded, message) in encoded.into_iter().zip(messages()) {
        assert_eq!(decode(encoded).unwrap().message, message);
    }
}
