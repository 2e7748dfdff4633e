//! Headers packed into one allocation, so that handing them over costs the request path a copy and no more.

use bytes::Bytes;
use verbatim_proto::v1::Header;

/// Headers in order, packed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HeadBytes {
    packed: Vec<u8>,
    count: usize,
}

impl HeadBytes {
    /// Room for so many headers of ordinary length.
    pub(crate) fn with_capacity(headers: usize) -> Self {
        Self { packed: Vec::with_capacity(headers * 48), count: 0 }
    }

    /// Adds a header. HTTP bounds a name to far less than the 64 KiB that fit; what is over is cut.
    pub(crate) fn push(&mut self, name: &str, value: &[u8]) {
        let name = &name.as_bytes()[..name.len().min(usize::from(u16::MAX))];
        let value = &value[..value.len().min(1 << 24)];
        let lengths =
            (u16::try_from(name.len()).unwrap_or(u16::MAX), u32::try_from(value.len()).unwrap_or(0));
        self.packed.extend_from_slice(&lengths.0.to_le_bytes());
        self.packed.extend_from_slice(&lengths.1.to_le_bytes());
        self.packed.extend_from_slice(name);
        self.packed.extend_from_slice(value);
        self.count += 1;
    }

    /// Bytes it holds in memory.
    pub(crate) fn charge(&self) -> usize {
        self.packed.capacity()
    }

    /// The value of the first header of this name, which is written in lower case.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let mut rest = self.packed.as_slice();
        while let Some((lengths, after)) = rest.split_first_chunk::<6>() {
            let [n0, n1, v0, v1, v2, v3] = *lengths;
            let (this, after) = after.split_at_checked(usize::from(u16::from_le_bytes([n0, n1])))?;
            let (value, after) = after.split_at_checked(u32::from_le_bytes([v0, v1, v2, v3]) as usize)?;
            if this == name {
                return Some(value);
            }
            rest = after;
        }
        None
    }

    /// The headers as they are written.
    pub(crate) fn into_headers(self) -> Vec<Header> {
        let mut rest = Bytes::from(self.packed);
        let mut headers = Vec::with_capacity(self.count);
        while rest.len() >= 6 {
            let lengths = rest.split_to(6);
            let name = usize::from(u16::from_le_bytes([lengths[0], lengths[1]]));
            let value = u32::from_le_bytes([lengths[2], lengths[3], lengths[4], lengths[5]]) as usize;
            headers.push(Header { name: rest.split_to(name), value: rest.split_to(value) });
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_unpacks_in_order() {
        let mut head = HeadBytes::with_capacity(1);
        let list: [(&str, &[u8]); 3] = [("b", b"\xff\x00"), ("a", b""), ("b", b"2")];
        list.iter().for_each(|(name, value)| head.push(name, value));
        assert_eq!(head.get(b"b"), Some(b"\xff\x00".as_slice()));
        assert_eq!((head.get(b"a"), head.get(b"c")), (Some(b"".as_slice()), None));
        let headers = head.into_headers();
        let read: Vec<_> =
            headers.iter().map(|header| (header.name.as_ref(), header.value.as_ref())).collect();
        assert_eq!(read, list.map(|(name, value)| (name.as_bytes(), value)));
    }
}
