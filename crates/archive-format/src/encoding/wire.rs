//! Variable-length numbers and counted bytes. Reading never panics, whatever the bytes.

/// Bytes that are not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed bytes: expected {0}")]
pub struct Malformed(pub(crate) &'static str);

pub(crate) type Result<T> = std::result::Result<T, Malformed>;

/// Writes at the end of a buffer.
#[derive(Default)]
pub(crate) struct Sink {
    pub(crate) bytes: Vec<u8>,
}

impl Sink {
    pub(crate) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Seven bits a byte, low ones first (LEB128).
    pub(crate) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// A number that may be below zero but is mostly near it (zigzag).
    pub(crate) fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)).cast_unsigned());
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn counted(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.raw(bytes);
    }

    /// 0 for none, else the number plus one; the largest number reads back as one less.
    pub(crate) fn maybe(&mut self, number: Option<u64>) {
        self.number(number.map_or(0, |number| number.saturating_add(1)));
    }

    pub(crate) fn maybe_text(&mut self, text: Option<&str>) {
        match text {
            None => self.byte(0),
            Some(text) => {
                self.byte(1);
                self.counted(text.as_bytes());
            }
        }
    }

    pub(crate) fn list<T>(&mut self, items: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.number(items.len() as u64);
        for item in items {
            each(self, item);
        }
    }
}

/// Reads from the front of a slice.
pub(crate) struct Source<'a> {
    rest: &'a [u8],
    /// Bytes of memory that the items of lists may yet take.
    memory: usize,
}

/// An item of a byte or two takes dozens in memory: so many are what is read of one exchange at most.
const MEMORY: usize = 128 << 20;

impl<'a> Source<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, memory: MEMORY }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn byte(&mut self) -> Result<u8> {
        let (&byte, rest) = self.rest.split_first().ok_or(Malformed("another byte"))?;
        self.rest = rest;
        Ok(byte)
    }

    pub(crate) fn number(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed("a number of 64 bits"))
    }

    pub(crate) fn signed(&mut self) -> Result<i64> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub(crate) fn raw(&mut self, count: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or(Malformed("more bytes"))?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn hash(&mut self) -> Result<[u8; 32]> {
        self.raw(32)?.try_into().map_err(|_| Malformed("a hash of 32 bytes"))
    }

    pub(crate) fn counted(&mut self) -> Result<&'a [u8]> {
        let count = usize::try_from(self.number()?).map_err(|_| Malformed("a length"))?;
        self.raw(count)
    }

    pub(crate) fn text(&mut self) -> Result<String> {
        let text = std::str::from_utf8(self.counted()?).map_err(|_| Malformed("text in UTF-8"))?;
        Ok(text.to_owned())
    }

    pub(crate) fn maybe(&mut self) -> Result<Option<u64>> {
        Ok(self.number()?.checked_sub(1))
    }

    pub(crate) fn maybe_text(&mut self) -> Result<Option<String>> {
        match self.byte()? {
            0 => Ok(None),
            1 => self.text().map(Some),
            _ => Err(Malformed("0 or 1 before a text")),
        }
    }

    pub(crate) fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let count = usize::try_from(self.number()?).map_err(|_| Malformed("a count"))?;
        // Each item takes a byte at least: a wrong count must not reserve memory.
        if count > self.rest.len() {
            return Err(Malformed("as many items as counted"));
        }
        let takes = count.saturating_mul(size_of::<T>());
        self.memory =
            self.memory.checked_sub(takes).ok_or(Malformed("no more items than any exchange has"))?;
        (0..count).map(|_| each(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_take_no_more_memory_than_those_of_any_exchange() {
        let texts = |count: usize| {
            let mut sink = Sink::default();
            sink.list(&vec![(); count], |sink, ()| sink.byte(0));
            sink.bytes
        };
        let read = |bytes: &[u8]| Source::new(bytes).list(Source::text).map(|texts| texts.len());
        let most = MEMORY / size_of::<String>();
        assert_eq!(read(&texts(most)), Ok(most));
        assert_eq!(read(&texts(most + 1)), Err(Malformed("no more items than any exchange has")));
        // Together, too.
        let half = texts(most / 2 + 1);
        let twice = [&half[..], &half].concat();
        let mut source = Source::new(&twice);
        assert!(source.list(Source::text).is_ok() && source.list(Source::text).is_err());
    }

    proptest! {
        #[test]
        fn numbers_read_back(number: u64, signed: i64) {
            let mut sink = Sink::default();
            sink.number(number);
            sink.signed(signed);
            let mut source = Source::new(&sink.bytes);
            prop_assert_eq!(source.number(), Ok(number));
            prop_assert_eq!(source.signed(), Ok(signed));
            prop_assert!(source.rest().is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut source = Source::new(&bytes);
            while source.list(|item| item.maybe_text()).is_ok() && source.counted().is_ok() {}
        }
    }
}
