//! Finds credentials in a form-encoded body as it passes: what OAuth's token endpoints are sent (RFC 6749).

use memchr::memchr;

use super::keys::{BodyKeys, Candidates};
use super::mask::Masked;

/// A form under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FormRedactor {
    /// At a field's name.
    Begin,
    /// In a name that begins like one that matters.
    Name(Candidates, Percent),
    /// In a field that stays.
    Stays,
    /// In a credential, so many bytes of which are masked.
    Secret(usize),
}

/// How far a percent-encoded byte was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Percent {
    No,
    Begun,
    Half(u8),
}

impl FormRedactor {
    /// Bytes are missing: what follows may be a credential's rest.
    pub(super) fn lost_some(&mut self) {
        *self = Self::Secret(0);
    }

    /// Masks what is secret in the next bytes.
    pub(super) fn feed(&mut self, keys: &BodyKeys, bytes: &[u8], masked: &mut Masked<'_>) {
        let mut at = 0;
        while at < bytes.len() {
            at = match *self {
                Self::Begin => {
                    *self = Self::Name(keys.candidates(), Percent::No);
                    at
                }
                Self::Name(candidates, percent) => {
                    *self = name(keys, candidates, percent, bytes[at]);
                    at + 1
                }
                Self::Stays => self.end_of_field(bytes, at),
                Self::Secret(done) => {
                    let end = memchr(b'&', &bytes[at..]).map_or(bytes.len(), |length| at + length);
                    masked.mask(at..end, done);
                    *self = Self::Secret(done + end - at);
                    self.end_of_field(bytes, end)
                }
            };
        }
    }

    fn end_of_field(&mut self, bytes: &[u8], at: usize) -> usize {
        match memchr(b'&', &bytes[at..]) {
            Some(length) => {
                *self = Self::Begin;
                at + length + 1
            }
            None => bytes.len(),
        }
    }
}

/// What a field is once `byte` of its name was read.
fn name(keys: &BodyKeys, candidates: Candidates, percent: Percent, byte: u8) -> FormRedactor {
    let digit = || char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let decoded = match (percent, byte) {
        (_, b'&') => return FormRedactor::Begin,
        (Percent::No, b'=') => {
            let secret = keys.named(candidates).is_some_and(|meaning| meaning.secret);
            return if secret { FormRedactor::Secret(0) } else { FormRedactor::Stays };
        }
        (Percent::No, b'%') => return FormRedactor::Name(candidates, Percent::Begun),
        (Percent::No, _) => Some(byte),
        (Percent::Begun, _) => match digit() {
            Some(high) => return FormRedactor::Name(candidates, Percent::Half(high << 4)),
            None => None,
        },
        (Percent::Half(high), _) => digit().map(|low| high | low),
    };
    let longer = decoded.and_then(|byte| keys.longer(candidates, byte));
    longer.map_or(FormRedactor::Stays, |longer| FormRedactor::Name(longer, Percent::No))
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;
    use crate::config::Redaction;

    fn shown(chunks: &[&[u8]]) -> String {
        let keys = BodyKeys::new(&Redaction::default()).unwrap();
        let mut form = FormRedactor::Begin;
        let mut all = Vec::new();
        for chunk in chunks {
            let mut masked = Masked::new(chunk);
            form.feed(&keys, chunk, &mut masked);
            all.extend_from_slice(&masked.changed().unwrap_or_else(|| chunk.to_vec().into()));
        }
        String::from_utf8_lossy(&all).into_owned()
    }

    #[test]
    fn credentials_are_masked_however_their_names_are_written() {
        let body = b"grant_type=refresh_token&refresh_token=abcdefghijkl&client%5Fsecret=s%3D1&value=ek_1&x";
        let expected =
            "grant_type=refresh_token&refresh_token=redacted:***&client%5Fsecret=redac&value=ek_1&x";
        assert_eq!(shown(&[body]), expected);
        for at in 0..body.len() {
            assert_eq!(shown(&[&body[..at], &body[at..]]), expected, "{at}");
        }
    }

    #[test]
    fn what_follows_lost_bytes_is_masked_up_to_the_next_field() {
        let keys = BodyKeys::new(&Redaction::default()).unwrap();
        let mut form = FormRedactor::Begin;
        form.lost_some();
        let mut masked = Masked::new(b"rest&scope=all");
        form.feed(&keys, b"rest&scope=all", &mut masked);
        assert_eq!(masked.changed().unwrap(), "reda&scope=all");
    }

    proptest! {
        #[test]
        fn what_a_form_parser_finds_is_masked(
            fields in prop::collection::vec(
                ("[a-c]{0,3}|id_token|authorization|client_secret", "[ -~]{0,20}"), 0..6,
            ),
            cut in any::<prop::sample::Index>(),
        ) {
            let spell = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            let field = |(name, value): &(String, String)| format!("{}={}", spell(name), spell(value));
            let body = fields.iter().map(field).collect::<Vec<_>>().join("&");
            let at = cut.index(body.len() + 1);
            let shown = shown(&[&body.as_bytes()[..at], &body.as_bytes()[at..]]);
            prop_assert_eq!(shown.len(), body.len());
            for ((name, value), shown) in fields.iter().zip(shown.split('&')) {
                let (_, shown) = shown.split_once('=').unwrap();
                let value = spell(value);
                if name.len() > 3 {
                    let mask = format!("redacted:{}", "*".repeat(64));
                    prop_assert_eq!(shown, &mask[..value.len()]);
                } else {
                    prop_assert_eq!(shown, value);
                }
            }
        }

        #[test]
        fn any_bytes_keep_their_length_however_they_are_cut(
            bytes in prop::collection::vec(any::<u8>(), 0..300), cut in any::<prop::sample::Index>(),
        ) {
            let at = cut.index(bytes.len() + 1);
            prop_assert_eq!(shown(&[&bytes[..at], &bytes[at..]]), shown(&[&bytes]));
        }
    }
}
