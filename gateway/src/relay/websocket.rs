//! Follows the frames of a WebSocket (RFC 6455, section 5) far enough to see it close.

/// A follower of one direction; it keeps no payload but a close frame's two bytes.
#[derive(Debug, Default)]
pub(super) struct CloseWatch {
    head: Vec<u8>,
    skip: u64,
    closing: Option<Closing>,
    code: Option<u16>,
}

#[derive(Debug)]
struct Closing {
    mask: [u8; 4],
    code: Vec<u8>,
}

impl CloseWatch {
    /// Looks at the next bytes.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.code.is_none() {
            if let Some(closing) = &mut self.closing {
                closing.code.push(bytes[0] ^ closing.mask[closing.code.len() % 4]);
                bytes = &bytes[1..];
                if let [high, low] = closing.code[..] {
                    self.code = Some(u16::from_be_bytes([high, low]));
                }
            } else if self.skip > 0 {
                let skip = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
                self.skip -= skip as u64;
                bytes = &bytes[skip..];
            } else {
                self.head.push(bytes[0]);
                bytes = &bytes[1..];
                self.frame();
            }
        }
    }

    /// The code that this side closed with, if it did; 1005 where it gave none.
    pub(super) const fn code(&self) -> Option<u16> {
        self.code
    }

    /// Reads a frame's head once it is whole.
    fn frame(&mut self) {
        let [first, second, ref rest @ ..] = self.head[..] else { return };
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let masked = if second & 0x80 == 0 { 0 } else { 4 };
        if rest.len() < extended + masked {
            return;
        }
        let length = match extended {
            0 => u64::from(second & 0x7f),
            _ => rest[..extended].iter().fold(0, |length, byte| (length << 8) | u64::from(*byte)),
        };
        let mut mask = [0; 4];
        mask[..masked].copy_from_slice(&rest[extended..extended + masked]);
        match (first & 0x0f, length) {
            (8, 2..) => self.closing = Some(Closing { mask, code: Vec::with_capacity(2) }),
            // RFC 6455, section 7.1.5: a close frame without a code.
            (8, _) => self.code = Some(1005),
            (_, length) => self.skip = length,
        }
        self.head.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(chunks: &[&[u8]]) -> Option<u16> {
        let mut watch = CloseWatch::default();
        chunks.iter().for_each(|chunk| watch.feed(chunk));
        watch.code()
    }

    #[test]
    fn a_close_frame_is_seen_behind_others_however_they_are_cut() {
        let mut bytes = vec![0x81, 0x05];
        bytes.extend(b"\x88\x02\x03\xe8!");
        bytes.extend([0x82, 126, 0x01, 0x00]);
        bytes.extend([0x88; 256]);
        bytes.extend([0x81, 127, 0, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3]);
        bytes.extend([0x88, 0x82, 0xaa, 0xbb, 0xcc, 0xdd, 0x03 ^ 0xaa, 0xe9 ^ 0xbb]);
        for cut in 0..bytes.len() {
            assert_eq!(code(&[&bytes[..cut], &bytes[cut..]]), Some(1001), "cut at {cut}");
        }
        assert_eq!(code(&[&[0x88, 0x00]]), Some(1005));
        assert_eq!(code(&[&[0x81, 0x00]]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_followed_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = code(&[&bytes]);
        }
    }
}
