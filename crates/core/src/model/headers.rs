//! Header lists as they travelled.

use bytes::Bytes;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

/// Headers in the order they came, duplicates kept. Values are bytes: they need not be UTF-8.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, Bytes)>);

impl Headers {
    /// The first value of a header whose name matches without regard to case.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The same as text; `None` if it is not UTF-8.
    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Adds a header at the end.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Bytes>) {
        self.0.push((name.into(), value.into()));
    }

    /// Every header, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_ref()))
    }
}

/// As a list of `[name, value]` pairs; what is not UTF-8 in a value is replaced.
impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for (name, value) in self.iter() {
            list.serialize_element(&(name, String::from_utf8_lossy(value)))?;
        }
        list.end()
    }
}
