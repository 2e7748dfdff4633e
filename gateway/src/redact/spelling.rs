//! How JSON writes the bytes of a string (RFC 8259, section 7).

/// How far the spelling of a byte was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Spelling {
    /// A byte begins, as it is or with a backslash.
    #[default]
    Plain,
    /// Behind the backslash.
    Begun,
    /// Behind `\u` and so many hexadecimal digits, which make up this value.
    Digits(u8, u32),
}

/// What another byte makes of a spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelled {
    /// More belongs to it.
    Unfinished(Spelling),
    /// It stands for this byte.
    Byte(u8),
    /// It stands for what is in no key, or it is none.
    Foreign,
}

impl Spelling {
    pub(super) fn read(self, byte: u8) -> Spelled {
        match (self, byte) {
            (Self::Plain, b'\\') => Spelled::Unfinished(Self::Begun),
            (Self::Plain, _) => Spelled::Byte(byte),
            (Self::Begun, b'u') => Spelled::Unfinished(Self::Digits(0, 0)),
            (Self::Begun, _) => Spelled::Foreign,
            (Self::Digits(count, value), _) => {
                let Some(digit) = char::from(byte).to_digit(16) else { return Spelled::Foreign };
                match (count, u8::try_from(value << 4 | digit)) {
                    (3, Ok(byte)) if byte.is_ascii() => Spelled::Byte(byte),
                    (3, _) => Spelled::Foreign,
                    _ => Spelled::Unfinished(Self::Digits(count + 1, value << 4 | digit)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Spelled {
        text.bytes().fold(Spelled::Unfinished(Spelling::Plain), |read, byte| match read {
            Spelled::Unfinished(spelling) => spelling.read(byte),
            Spelled::Byte(_) | Spelled::Foreign => panic!("{text} goes on"),
        })
    }

    #[test]
    fn a_byte_is_read_however_it_is_spelled() {
        for text in ["k", "\\u006b", "\\u006B"] {
            assert_eq!(read(text), Spelled::Byte(b'k'), "{text}");
        }
        for text in ["\\n", "\\\"", "\\ug", "\\u00e9", "\\u4e2d", "\\uffff"] {
            assert_eq!(read(text), Spelled::Foreign, "{text}");
        }
    }
}
