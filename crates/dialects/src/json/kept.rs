//! What is kept of a row of frames, each of which is parsed for itself.

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

use super::budget::{Budget, MOST_MEMORY, Unparsed, cost};

/// Parses the frames of one stream or tunnel. Most are let go once they are read, so what all of them cost together
/// says little; but some leave something behind, and that must not grow without a bound. So the budget is one for all
/// frames, and when it is used up, what is really kept is measured, and the rest of it begins anew.
#[derive(Debug)]
pub(crate) struct Frames {
    budget: Budget,
    most: usize,
    full: bool,
}

impl Frames {
    pub(crate) fn new() -> Self {
        Self::of(MOST_MEMORY)
    }

    fn of(most: usize) -> Self {
        Self { budget: Budget::of(most), most, full: false }
    }

    /// Parses the next frame. `kept` measures what the earlier ones left behind.
    pub(crate) fn parse(&mut self, bytes: &[u8], kept: impl FnOnce() -> usize) -> Result<Value, Unparsed> {
        if self.full {
            return Err(Unparsed::TooMuch);
        }
        if !self.budget.affords(bytes.len()) {
            let kept = kept();
            // With only little left it would be measured again and again.
            self.full = kept > self.most / 4 * 3;
            if self.full {
                return Err(Unparsed::TooMuch);
            }
            self.budget = Budget::of(self.most - kept);
        }
        super::parse(bytes, &self.budget)
    }

    /// Whether there is no room for any further frame.
    pub(crate) fn are_too_many(&self) -> bool {
        self.full
    }
}

/// What a value costs by the same count as when it is parsed.
pub(crate) fn kept(value: &impl Serialize) -> usize {
    let mut count = Count::default();
    // It goes nowhere, and all that readings hold has texts or numbers for keys.
    let _ = value.serialize(&mut Serializer::with_formatter(io::sink(), &mut count));
    count.bytes
}

/// Counts what is written instead of writing it.
#[derive(Default)]
struct Count {
    bytes: usize,
    in_list: bool,
}

impl Count {
    fn add(&mut self, alone: usize, in_list: usize) {
        self.bytes += if std::mem::take(&mut self.in_list) { in_list } else { alone };
    }
}

macro_rules! bare {
    ($($write:ident: $kind:ty),*) => {
        $(fn $write<W: ?Sized + io::Write>(&mut self, _: &mut W, _: $kind) -> io::Result<()> {
            self.add(0, cost::BARE);
            Ok(())
        })*
    };
}

impl Formatter for &mut Count {
    bare! {
        write_bool: bool, write_i8: i8, write_i16: i16, write_i32: i32, write_i64: i64, write_i128: i128, write_u8: u8,
        write_u16: u16, write_u32: u32, write_u64: u64, write_u128: u128, write_f32: f32, write_f64: f64
    }

    fn write_null<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.add(0, cost::BARE);
        Ok(())
    }

    fn begin_string<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.add(cost::TEXT, cost::TEXT + cost::ENTRY);
        Ok(())
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.add(cost::LIST, cost::LIST + cost::ENTRY);
        Ok(())
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, _: &mut W, _: bool) -> io::Result<()> {
        self.in_list = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.add(cost::OBJECT, cost::OBJECT + cost::BARE);
        Ok(())
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, _: &mut W, first: bool) -> io::Result<()> {
        self.bytes += if first { 0 } else { cost::FIELD };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_kept_is_counted_as_when_it_was_parsed() {
        let value = json!({"a": [1, 2, null, "x", [], {"b": true}], "c": {"d": "e", "f": []}});
        let text = value.to_string();
        let counted = kept(&value);
        assert!(Budget::of(counted).parse(text.as_bytes()).is_ok());
        assert!(counted < 8_000, "{counted}");
    }

    #[test]
    fn frames_that_leave_nothing_behind_may_go_on_for_ever() {
        let mut frames = Frames::of(10_000);
        for _ in 0..1_000 {
            assert!(frames.parse(br#"{"a":{"b":{}}}"#, || 500).is_ok());
        }
        assert!(!frames.are_too_many());
    }

    #[test]
    fn frames_that_are_kept_are_too_many_at_some_point() {
        let mut frames = Frames::of(100_000);
        let mut have = Vec::new();
        while let Ok(value) = frames.parse(br#"{"a":{"b":{}}}"#, || kept(&have)) {
            have.push(value);
            assert!(have.len() < 200);
        }
        assert!(frames.are_too_many());
        assert_eq!(frames.parse(b"0", || 0), Err(Unparsed::TooMuch));
    }

    #[test]
    fn one_frame_that_is_too_large_is_no_reason_to_read_no_other() {
        let mut frames = Frames::of(10_000);
        let large = format!("[{}]", vec!["{}"; 1_000].join(","));
        assert_eq!(frames.parse(large.as_bytes(), || 0), Err(Unparsed::TooMuch));
        assert!(frames.parse(b"{}", || 0).is_ok());
    }
}
