use std::io::Write;

use proptest::prelude::*;

use super::*;

fn headers(encoding: &str) -> Headers {
    let mut headers = Headers::default();
    headers.push("Content-Encoding", encoding.as_bytes().to_vec());
    headers
}

fn encode(encoding: &str, bytes: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::default();
    match encoding {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "zlib" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "br" => {
            let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20);
            encoder.write_all(bytes).unwrap();
            encoder.into_inner()
        }
        "zstd" => zstd::stream::encode_all(bytes, 3).unwrap(),
        other => panic!("no such encoding: {other}"),
    }
}

fn text() -> Vec<u8> {
    (0..2000).flat_map(|number| format!("data: {{\"n\":{number}}}\n\n").into_bytes()).collect()
}

const WAYS: [(&str, &str); 5] =
    [("gzip", "gzip"), ("deflate", "zlib"), ("deflate", "deflate"), ("br", "br"), ("zstd", "zstd")];

#[test]
fn every_encoding_is_undone() {
    for (name, way) in WAYS {
        let encoded = encode(way, &text());
        let decoded = body(&headers(name), &encoded, Limit::default()).unwrap();
        assert!(decoded.bytes == text() && decoded.notes.is_empty(), "{way}: {:?}", decoded.notes);
    }
}

#[test]
fn stacked_encodings_are_undone_last_first() {
    let encoded = encode("br", &encode("gzip", &text()));
    let decoded = body(&headers("gzip, identity, BR"), &encoded, Limit::default()).unwrap();
    assert_eq!(decoded.bytes, text());
    let mut two = headers("gzip");
    two.push("content-encoding", "br");
    assert_eq!(body(&two, &encoded, Limit::default()).unwrap().bytes, text());
}

#[test]
fn a_cut_body_gives_its_beginning_and_a_note() {
    for (name, way) in WAYS {
        let encoded = encode(way, &text());
        let decoded = body(&headers(name), &encoded[..encoded.len() * 3 / 4], Limit::default()).unwrap();
        assert!(text().starts_with(&decoded.bytes), "{way}");
        assert_eq!(decoded.notes, [format!("the body ends inside its {name} encoding")], "{way}");
    }
}

#[test]
fn a_stream_flushed_frame_by_frame_is_readable_up_to_the_cut() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"data: one\n\n").unwrap();
    encoder.flush().unwrap();
    let first = encoder.get_ref().len();
    encoder.write_all(b"data: two\n\n").unwrap();
    encoder.flush().unwrap();
    let cut = encoder.get_ref().clone();
    let decoded = body(&headers("gzip"), &cut, Limit::default()).unwrap();
    assert_eq!(decoded.bytes, &b"data: one\n\ndata: two\n\n"[..]);
    // The first frame was readable by its own flush, the second not before it.
    assert!(decoded.wire_offset(8).unwrap() < first as u64 + 16);
    assert!(
        decoded.wire_offset(19).unwrap() >= first as u64
            && decoded.wire_offset(19).unwrap() < cut.len() as u64
    );
    assert_eq!(decoded.wire_offset(22), None);
}

#[test]
fn a_bomb_is_read_only_up_to_the_limit() {
    for (name, way) in WAYS {
        let encoded = encode(way, &vec![b' '; 20 << 20]);
        let limit = Limit { bytes: 64 << 20, ratio: 10 };
        let decoded = body(&headers(name), &encoded, limit).unwrap();
        assert_eq!(decoded.bytes.len(), limit.of(encoded.len()), "{way}");
        assert!(decoded.notes[0].starts_with("decoded only the first"), "{way}: {:?}", decoded.notes);
        let decoded = body(&headers(name), &encoded, Limit { bytes: 1000, ratio: usize::MAX }).unwrap();
        assert_eq!(decoded.bytes.len(), 1000, "{way}");
    }
}

#[test]
fn a_body_that_was_decoded_already_is_read_as_it_is() {
    for (name, _) in WAYS {
        let decoded =
            body(&headers(name), b"{\"already\":\"decoded\", \"text\": true}", Limit::default()).unwrap();
        assert_eq!(decoded.bytes, &b"{\"already\":\"decoded\", \"text\": true}"[..], "{name}");
        assert_eq!(decoded.notes.len(), 1);
    }
}

#[test]
fn what_nobody_can_read_is_told() {
    assert_eq!(
        body(&headers("snappy"), b"x", Limit::default()).unwrap_err().to_string(),
        "content-encoding \"snappy\" is not known: expected gzip, deflate, br, zstd or identity"
    );
    assert_eq!(
        body(&headers("gzip"), b"\xff\xfe\xfd\xfc\xff\xff\xff\xff\xff\xff\xff\xff", Limit::default()),
        Err(DecodeError::NotEncoded("gzip"))
    );
    assert!(body(&headers("gzip,gzip,gzip,gzip,gzip"), b"x", Limit::default()).is_err());
}

#[test]
fn without_encoding_nothing_is_copied() {
    let decoded = body(&Headers::default(), b"plain", Limit::default()).unwrap();
    assert!(matches!(decoded.bytes, Cow::Borrowed(b"plain")));
    assert_eq!((decoded.wire_offset(4), decoded.wire_offset(5)), (Some(4), None));
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), way in 0..WAYS.len()) {
        let _ = body(&headers(WAYS[way].0), &bytes, Limit::default());
        let mut encoded = encode(WAYS[way].1, &text());
        let at = bytes.len() % encoded.len();
        encoded.splice(at..at, bytes);
        let _ = body(&headers(WAYS[way].0), &encoded, Limit::default());
    }
}
