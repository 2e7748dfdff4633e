//! Envelopes to bytes and back.

use bytes::Bytes;
use prost::Message as _;
use verbatim_core::model::ExchangeId;

use crate::v1;

/// The major version that this code writes and reads.
pub const MAJOR: u32 = 1;
/// The minor version that this code writes; any is read.
pub const MINOR: u32 = 0;

/// A decoded envelope.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The exchange it belongs to.
    pub exchange: ExchangeId,
    /// The gateway process that wrote it.
    pub gateway: String,
    /// What it says.
    pub message: v1::envelope::Message,
}

/// Bytes that are not an envelope this code can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer program: to be kept until one reads it.
    #[error("capture message of schema version {major}: this program reads version {MAJOR}; upgrade it")]
    UnknownMajor {
        /// The version it has.
        major: u32,
    },
    /// Not an envelope at all, or one without its parts.
    #[error("not a capture message: {0}")]
    Garbage(String),
}

/// Encodes one message of an exchange.
pub fn encode(exchange: ExchangeId, gateway: &str, message: v1::envelope::Message) -> Bytes {
    let envelope = v1::Envelope {
        major: MAJOR,
        minor: MINOR,
        exchange: Bytes::copy_from_slice(exchange.as_bytes()),
        gateway: gateway.to_owned(),
        message: Some(message),
    };
    envelope.encode_to_vec().into()
}

/// Decodes an envelope; byte fields share the memory of `bytes`.
pub fn decode(bytes: Bytes) -> Result<Decoded, DecodeError> {
    let envelope = v1::Envelope::decode(bytes).map_err(|error| DecodeError::Garbage(error.to_string()))?;
    if envelope.major != MAJOR {
        return Err(match envelope.major {
            0 => DecodeError::Garbage("it has no schema version".to_owned()),
            major => DecodeError::UnknownMajor { major },
        });
    }
    let exchange = ExchangeId::try_from(envelope.exchange.as_ref())
        .map_err(|error| DecodeError::Garbage(error.to_string()))?;
    let message = envelope
        .message
        .ok_or_else(|| DecodeError::Garbage("it is neither start, part nor end".to_owned()))?;
    Ok(Decoded { exchange, gateway: envelope.gateway, message })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn end() -> v1::envelope::Message {
        v1::envelope::Message::End(v1::End { outcome: 1, duration_us: 7, ..Default::default() })
    }

    #[test]
    fn what_was_encoded_decodes() {
        let id = ExchangeId::mint();
        let decoded = decode(encode(id, "g1", end())).unwrap();
        assert_eq!(decoded, Decoded { exchange: id, gateway: "g1".to_owned(), message: end() });
    }

    #[test]
    fn a_newer_major_is_told_apart_from_garbage() {
        let envelope = v1::Envelope { major: 9, ..Default::default() };
        assert_eq!(decode(envelope.encode_to_vec().into()), Err(DecodeError::UnknownMajor { major: 9 }));
        assert!(matches!(decode(Bytes::new()), Err(DecodeError::Garbage(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = decode(bytes.into());
        }
    }
}
