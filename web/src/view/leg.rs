//! A leg as bytes: what is known of it and how it begins.

use verbatim_core::model::{ExchangeHeads, ExchangeId, Leg, LegBody};

use super::conversation::Rest;
use super::format;
use crate::reading::{Bodies, headers_of, plain};
use crate::text::Text;

/// Shown of a leg at first, in bytes.
const FIRST: usize = 8 * 1024;
/// Shown with each further step.
const STEP: usize = 64 * 1024;
/// Shown of what is not text.
const BINARY: usize = 512;

/// What the page shows of a leg.
#[derive(Debug, Clone)]
pub(crate) struct LegView {
    pub(crate) word: &'static str,
    pub(crate) label: &'static str,
    /// The label of the leg whose bytes these are, where they are stored once.
    pub(crate) same_as: Option<&'static str>,
    pub(crate) stored: bool,
    pub(crate) unreadable: Option<String>,
    pub(crate) about: String,
    pub(crate) hash: String,
    pub(crate) lost: Option<String>,
    pub(crate) encoded: bool,
    pub(crate) piece: Piece,
}

/// A stretch of a leg.
#[derive(Debug, Clone, Default)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) binary: bool,
    pub(crate) rest: Option<Rest>,
}

/// What a leg is called.
pub(crate) fn label(leg: Leg, text: &Text) -> &'static str {
    match leg {
        Leg::ClientRequest => text.client_request,
        Leg::UpstreamRequest => text.upstream_request,
        Leg::UpstreamResponse => text.upstream_response,
        Leg::ClientResponse => text.client_response,
    }
}

/// Every leg, in the order the bytes travelled. One that equals the other side's is shown by name only.
pub(crate) fn legs(id: ExchangeId, heads: &ExchangeHeads, bodies: &Bodies, text: &Text) -> Vec<LegView> {
    Leg::ALL.iter().map(|&leg| view(id, leg, heads, bodies, text)).collect()
}

fn view(id: ExchangeId, leg: Leg, heads: &ExchangeHeads, bodies: &Bodies, text: &Text) -> LegView {
    let mut view = LegView {
        word: leg.as_str(),
        label: label(leg, text),
        same_as: None,
        stored: false,
        unreadable: bodies.unreadable.iter().find(|(have, _)| *have == leg).map(|(_, why)| why.clone()),
        about: text.not_stored.to_owned(),
        hash: String::new(),
        lost: None,
        encoded: false,
        piece: Piece::default(),
    };
    let Some(body) = bodies.leg(leg) else { return view };
    view.stored = true;
    if body.info.leg != leg {
        view.same_as = Some(label(body.info.leg, text));
        return view;
    }
    let headers = headers_of(heads, leg);
    let mut about = vec![format::bytes(body.info.length)];
    for name in ["content-type", "content-encoding"] {
        if let Some(value) = headers.get_str(name).filter(|value| !value.is_empty()) {
            about.push(value.chars().take(100).collect());
        }
    }
    view.about = about.join(" · ");
    view.hash = body
        .info
        .hash
        .or(body.info.stored_hash)
        .map(|hash| blake3::Hash::from_bytes(hash).to_hex().to_string())
        .unwrap_or_default();
    view.lost = (body.info.lost > 0).then(|| format::bytes(body.info.lost));
    view.encoded = headers.get("content-encoding").is_some_and(|encoding| encoding.as_ref() != b"identity");
    view.piece = piece(id, body, &plain(headers, body.bytes.clone()), 0);
    view
}

/// A stretch of a leg's decoded bytes from an offset on.
pub(crate) fn piece(id: ExchangeId, body: &LegBody, bytes: &[u8], from: usize) -> Piece {
    let from = from.min(bytes.len());
    if is_binary(bytes) {
        let shown = bytes.len().min(BINARY);
        return Piece { text: hex(&bytes[..shown]), binary: true, rest: None };
    }
    let step = if from == 0 { FIRST } else { STEP };
    let to = boundary(bytes, from.saturating_add(step).min(bytes.len()));
    let to = if to > from { to } else { bytes.len() };
    let left = bytes.len() - to;
    Piece {
        text: String::from_utf8_lossy(&bytes[from..to]).into_owned(),
        binary: false,
        rest: (left > 0).then(|| Rest {
            url: format!("/exchanges/{id}/legs/{}/text?from={to}", body.info.leg),
            left: format::bytes(left as u64),
        }),
    }
}

/// The last place at or before `at` where no character is cut.
fn boundary(bytes: &[u8], at: usize) -> usize {
    if at >= bytes.len() {
        return bytes.len();
    }
    (at.saturating_sub(3)..=at).rev().find(|&at| bytes[at] & 0xc0 != 0x80).unwrap_or(at)
}

fn is_binary(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(4096)];
    if head.contains(&0) {
        return true;
    }
    match std::str::from_utf8(head) {
        Ok(_) => false,
        // A character that is cut at the end is no sign.
        Err(error) => error.error_len().is_some() && error.valid_up_to() < head.len().saturating_sub(4),
    }
}

/// Sixteen bytes a line: offset, hexadecimal, text.
fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (line, chunk) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String = chunk
            .iter()
            .map(|&byte| if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '·' })
            .collect();
        out.push_str(&format!("{:08x}  {:<47}  {text}\n", line * 16, hex.join(" ")));
    }
    out
}

#[cfg(test)]
mod tests {
    use verbatim_core::model::{LegInfo, Timeline};

    use super::*;

    fn pieces(bytes: &[u8]) -> String {
        let info = LegInfo {
            leg: Leg::ClientRequest,
            length: bytes.len() as u64,
            stored: bytes.len() as u64,
            hash: None,
            stored_hash: None,
            lost: 0,
        };
        let bytes = bytes::Bytes::copy_from_slice(bytes);
        let body = LegBody { info, bytes: bytes.clone(), timeline: Timeline::default() };
        let mut out = String::new();
        let mut from = 0;
        for _ in 0..1_000 {
            let piece = piece(ExchangeId::mint(), &body, &bytes, from);
            out.push_str(&piece.text);
            let Some(rest) = piece.rest else { return out };
            from = rest.url.rsplit_once('=').unwrap().1.parse().unwrap();
        }
        panic!("never ends");
    }

    #[test]
    fn pieces_put_together_are_the_whole() {
        let text = "天气 weather ".repeat(20_000);
        assert_eq!(pieces(text.as_bytes()), text);
        assert_eq!(pieces(b""), "");
    }

    #[test]
    fn what_is_no_text_is_shown_in_hexadecimal() {
        let shown = pieces(b"\x1f\x8b\x08\x00abc");
        assert!(shown.starts_with("00000000  1f 8b 08 00 61 62 63"), "{shown}");
        assert!(shown.trim_end().ends_with("····abc"));
    }

    #[test]
    fn latin_1_after_much_text_does_not_hang() {
        let mut bytes = b"x".repeat(FIRST - 1);
        bytes.extend([0xe9; 70_000]);
        assert!(pieces(&bytes).len() > 70_000);
    }
}
