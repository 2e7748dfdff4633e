//! WebSocket frames (RFC 6455, section 5).

use bytes::{Buf, BytesMut};

/// Larger frames are refused.
const LARGEST_PAYLOAD: u64 = 64 << 20;

/// One frame, unmasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) last: bool,
    pub(super) opcode: u8,
    pub(super) payload: Vec<u8>,
}

pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

/// Bytes that are no frame from a client.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("a client's frame must be masked")]
    Unmasked,
    #[error("a reserved bit is set and no extension was agreed")]
    Reserved,
    #[error("a frame of {0} bytes is longer than {LARGEST_PAYLOAD}")]
    TooLong(u64),
}

/// Takes the next frame off the buffer, if all of it is there.
pub(super) fn take(buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
    let [first, second, rest @ ..] = buffer.as_ref() else { return Ok(None) };
    let (first, second) = (*first, *second);
    if first & 0x70 != 0 {
        return Err(FrameError::Reserved);
    }
    if second & 0x80 == 0 {
        return Err(FrameError::Unmasked);
    }
    let (length_bytes, length) = match (second & 0x7f, rest) {
        (126, [high, low, ..]) => (2, u64::from(u16::from_be_bytes([*high, *low]))),
        (127, rest) => match rest.first_chunk::<8>() {
            Some(length) => (8, u64::from_be_bytes(*length)),
            None => return Ok(None),
        },
        (126, _) => return Ok(None),
        (short, _) => (0, u64::from(short)),
    };
    if length > LARGEST_PAYLOAD {
        return Err(FrameError::TooLong(length));
    }
    let length = usize::try_from(length).map_err(|_| FrameError::TooLong(length))?;
    let Some(mask) = rest.get(length_bytes..).and_then(<[u8]>::first_chunk::<4>).copied() else {
        return Ok(None);
    };
    let head = 2 + length_bytes + 4;
    if buffer.len() < head + length {
        return Ok(None);
    }
    buffer.advance(head);
    let payload =
        buffer.split_to(length).iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    Ok(Some(Frame { last: first & 0x80 != 0, opcode: first & 0x0f, payload }))
}

/// A frame as a server sends it: without a mask.
pub(super) fn encode(frame: &Frame) -> Vec<u8> {
    let mut bytes = vec![if frame.last { 0x80 } else { 0 } | frame.opcode];
    let length = frame.payload.len();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..=125), _) => bytes.push(length),
        (_, Ok(length)) => {
            bytes.push(126);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            bytes.push(127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&frame.payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frame as a client sends it.
    fn masked(frame: &Frame) -> Vec<u8> {
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        let mut bytes = encode(frame);
        let head = bytes.len() - frame.payload.len();
        bytes[1] |= 0x80;
        let payload: Vec<u8> =
            bytes.split_off(head).iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        bytes.extend_from_slice(&mask);
        bytes.extend_from_slice(&payload);
        bytes
    }

    #[test]
    fn a_frame_is_taken_once_all_of_it_is_there() {
        for length in [0, 5, 125, 126, 65_535, 65_536] {
            let frame = Frame { last: length % 2 == 0, opcode: 2, payload: vec![7; length] };
            let bytes = masked(&frame);
            for cut in [0, 1, 2, 5, bytes.len() - 1] {
                let mut buffer = BytesMut::from(&bytes[..cut.min(bytes.len() - 1)]);
                assert_eq!(take(&mut buffer), Ok(None));
                buffer.extend_from_slice(&bytes[cut.min(bytes.len() - 1)..]);
                assert_eq!(take(&mut buffer), Ok(Some(frame.clone())));
                assert!(buffer.is_empty());
            }
        }
    }

    #[test]
    fn what_is_no_frame_of_a_client_is_refused() {
        assert_eq!(take(&mut BytesMut::from(&[0x81, 0x05][..])), Err(FrameError::Unmasked));
        assert_eq!(take(&mut BytesMut::from(&[0xc1, 0x85][..])), Err(FrameError::Reserved));
        let mut long = vec![0x82, 0xff];
        long.extend_from_slice(&u64::MAX.to_be_bytes());
        assert_eq!(take(&mut BytesMut::from(&long[..])), Err(FrameError::TooLong(u64::MAX)));
    }
}
