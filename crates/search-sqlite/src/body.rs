//! The text of a document as it is kept for highlights: each field's length and bytes, compressed.

use verbatim_core::model::SearchDocument;
use zstd::bulk::Compressor;

/// Level 3 is where zstd's speed and size meet for a few KB of text.
const LEVEL: i32 = 3;

/// The fields of a body, named as [`SearchDocument::fields`] names them.
pub(crate) const FIELDS: [&str; 6] = ["asked", "answered", "reasoning", "tools", "system", "error"];

/// How large a body can become: six fields within their limits.
const LARGEST: usize = 6 * (SearchDocument::FIELD_LIMIT + 4);

/// Packs documents one after the other: setting up compression costs more than a small text.
pub(crate) struct Packer(Compressor<'static>);

impl Packer {
    pub(crate) fn new() -> std::io::Result<Self> {
        Compressor::new(LEVEL).map(Self)
    }

    /// Packs the fields of a document.
    pub(crate) fn pack(&mut self, document: &SearchDocument) -> std::io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        for (_, text) in document.fields() {
            plain.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            plain.extend_from_slice(text.as_bytes());
        }
        self.0.compress(&plain)
    }
}

/// Unpacks the fields, in the order of [`FIELDS`]; `None` where the bytes are not such a body.
pub(crate) fn unpack(packed: &[u8]) -> Option<[String; 6]> {
    let plain = zstd::bulk::decompress(packed, LARGEST).ok()?;
    let mut rest = plain.as_slice();
    let mut fields: [String; 6] = Default::default();
    for field in &mut fields {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let (text, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        *field = String::from_utf8(text.to_vec()).ok()?;
        rest = behind;
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use verbatim_testkit::ExchangeBuilder;

    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_and_garbage_is_refused() {
        let mut document = ExchangeBuilder::minted().document("问题", "answer\0");
        document.error = "e".repeat(SearchDocument::FIELD_LIMIT);
        let packed = Packer::new().unwrap().pack(&document).unwrap();
        let fields = unpack(&packed).unwrap();
        assert_eq!(FIELDS, document.fields().map(|(name, _)| name));
        assert_eq!(fields, document.fields().map(|(_, text)| text.to_owned()));
        assert_eq!(unpack(&packed[..packed.len() - 1]), None);
        assert_eq!(unpack(b"garbage"), None);
    }
}
