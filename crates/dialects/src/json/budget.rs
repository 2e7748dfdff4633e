//! How much memory parsed JSON may take, whatever its shape.
//!
//! What a value takes is by far not what its text does: an object of one key is a node of a map with room for eleven,
//! some 650 bytes for `{"":0}`, and three bytes of a list may become a whole message of a conversation. So values are
//! counted while they are parsed, at what they cost, and parsing stops where the budget is used up. Their texts are not
//! counted: together they are no longer than the body.

use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// What all values of one body may take beside their texts, in bytes.
pub(crate) const MOST_MEMORY: usize = 256 << 20;

/// What values cost, in bytes. As they are parsed, or as what readings make of them, whichever is more.
pub(super) mod cost {
    /// A place in a list: 32, in a list that grows by doubling, while it moves.
    pub(in super::super) const BARE: usize = 96;
    /// Text or a list in a list: it may become a message of one part.
    pub(in super::super) const ENTRY: usize = 448;
    /// The place of a text outside of the value that refers to it.
    pub(in super::super) const TEXT: usize = 32;
    /// A list's first places, which it makes four at a time.
    pub(in super::super) const LIST: usize = 4 * BARE;
    /// An object's first node.
    pub(in super::super) const OBJECT: usize = 704;
    /// A key and its value in nodes that are half full.
    pub(in super::super) const FIELD: usize = 192;
    /// No shape costs more a byte of its text: the worst are lists in lists in lists.
    pub(in super::super) const MOST_PER_BYTE: usize = 512;
}

/// What may still be taken.
#[derive(Debug)]
pub(crate) struct Budget {
    left: Cell<usize>,
}

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unparsed {
    /// It is not JSON, or not whole.
    NotJson,
    /// There is more in it than the budget holds.
    TooMuch,
}

impl Budget {
    /// For one body.
    pub(crate) fn new() -> Self {
        Self::of(MOST_MEMORY)
    }

    /// Of so many bytes.
    pub(crate) fn of(bytes: usize) -> Self {
        Self { left: Cell::new(bytes) }
    }

    /// Whether there is enough for JSON of this length, whatever its shape.
    pub(super) fn affords(&self, length: usize) -> bool {
        length.saturating_mul(cost::MOST_PER_BYTE) <= self.left.get()
    }

    /// Parses JSON and takes what it costs; what is not parsed costs nothing.
    pub(super) fn parse(&self, bytes: &[u8]) -> Result<Value, Unparsed> {
        if self.affords(bytes.len()) {
            // Nearly everything is so short that there is no need to count.
            let parsed = serde_json::from_slice(bytes).map_err(|_| Unparsed::NotJson);
            self.left.set(self.left.get() - bytes.len() * cost::MOST_PER_BYTE);
            return parsed;
        }
        self.parse_counting(bytes)
    }

    fn parse_counting(&self, bytes: &[u8]) -> Result<Value, Unparsed> {
        let before = self.left.get();
        let mut parser = serde_json::Deserializer::from_slice(bytes);
        let parsed =
            Bounded::<false>(self).deserialize(&mut parser).and_then(|value| parser.end().map(|()| value));
        parsed.map_err(|error| {
            self.left.set(before);
            // Parsing breaks off with an error that is ours, not one of syntax.
            if error.is_data() { Unparsed::TooMuch } else { Unparsed::NotJson }
        })
    }

    fn take<E: Error>(&self, bytes: usize) -> Result<(), E> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(E::custom("more values than may be read")),
        }
    }
}

/// An object that a derived reading holds as it is; one that costs more than a body may is an error.
#[derive(Debug)]
pub(crate) struct BoundedObject(pub(crate) Map<String, Value>);

impl<'de> Deserialize<'de> for BoundedObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Bounded::<false>(&Budget::new()).deserialize(deserializer)? {
            Value::Object(object) => Ok(Self(object)),
            _ => Err(D::Error::custom("expected an object")),
        }
    }
}

/// Makes a value as [`Value`] does itself, and counts.
#[derive(Clone, Copy)]
struct Bounded<'a, const IN_LIST: bool>(&'a Budget);

impl<const IN_LIST: bool> Bounded<'_, IN_LIST> {
    fn text<E: Error>(self) -> Result<(), E> {
        self.0.take(if IN_LIST { cost::ENTRY + cost::TEXT } else { cost::TEXT })
    }
}

impl<'de, const IN_LIST: bool> DeserializeSeed<'de> for Bounded<'_, IN_LIST> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, const IN_LIST: bool> Visitor<'de> for Bounded<'_, IN_LIST> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.text()?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        self.text()?;
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        if IN_LIST {
            self.0.take(cost::ENTRY)?;
        }
        let entry = Bounded::<true>(self.0);
        let mut list = Vec::new();
        while let Some(value) = entries.next_element_seed(entry)? {
            if list.len() == list.capacity() {
                // It is about to double.
                self.0.take((list.len() * cost::BARE).max(cost::LIST))?;
            }
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let field = Bounded::<false>(self.0);
        let mut object = Map::new();
        let Some(key) = fields.next_key()? else {
            if IN_LIST {
                self.0.take(cost::ENTRY)?;
            }
            return Ok(Value::Object(object));
        };
        self.0.take(cost::OBJECT)?;
        object.insert(key, fields.next_value_seed(field)?);
        while let Some(key) = fields.next_key()? {
            self.0.take(cost::FIELD)?;
            object.insert(key, fields.next_value_seed(field)?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec![
            "null",
            "true",
            "-7",
            "18446744073709551615",
            "1e3",
            "0.5",
            "\"é\\n\"",
            "{}",
            "[]",
        ]);
        leaf.prop_map(str::to_owned).prop_recursive(5, 60, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6)
                    .prop_map(|list| format!("[{}]", list.join(", "))),
                proptest::collection::vec(("[a-c]{0,2}", inner), 0..6).prop_map(|fields| {
                    let fields = fields.iter().map(|(key, value)| format!("\"{key}\": {value}"));
                    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
                }),
            ]
        })
    }

    fn cost_of(text: &str) -> usize {
        let budget = Budget::of(usize::MAX);
        budget.parse_counting(text.as_bytes()).unwrap();
        usize::MAX - budget.left.get()
    }

    proptest! {
        #[test]
        fn what_is_parsed_is_what_an_unbounded_parser_makes_of_it(text in json(), cut in any::<prop::sample::Index>()) {
            let parsed = Budget::new().parse_counting(text.as_bytes());
            prop_assert_eq!(parsed.ok(), serde_json::from_str(&text).ok());
            let cut = &text.as_bytes()[..cut.index(text.len() + 1)];
            prop_assert_eq!(Budget::new().parse_counting(cut).ok(), serde_json::from_slice(cut).ok());
        }

        #[test]
        fn no_shape_costs_more_a_byte_than_the_most(text in json()) {
            prop_assert!(cost_of(&text) <= text.len() * cost::MOST_PER_BYTE);
        }
    }

    fn repeated(entry: &str) -> String {
        format!("[{}]", vec![entry; 10_000].join(","))
    }

    #[test]
    fn every_shape_uses_the_budget_up_and_what_is_not_parsed_gives_it_back() {
        let keys: Vec<String> = (0..10_000).map(|at| format!("\"{at}\":0")).collect();
        let keys = keys.join(",");
        let nested = ["[[[[0]]]]", "[[\"\"],[0]]", "{\"\":{\"\":{\"\":{}}}}"];
        for text in ["0", "\"\"", "{}", "[]", "[0]", "{\"\":0}", "{\"\":[0]}"]
            .iter()
            .chain(&nested)
            .map(|entry| repeated(entry))
            .chain([format!("{{{keys}}}"), format!("{{\"\":{{{keys}}}}}")])
        {
            let cost = cost_of(&text);
            assert!((960_000..text.len() * cost::MOST_PER_BYTE).contains(&cost), "{cost} for {text:.20}");
            let budget = Budget::of(cost - 1);
            assert_eq!(budget.parse(text.as_bytes()), Err(Unparsed::TooMuch), "{text:.20}");
            assert_eq!(budget.left.get(), cost - 1);
            assert!(Budget::of(cost).parse(text.as_bytes()).is_ok());
        }
    }

    #[test]
    fn a_long_text_costs_nothing_beyond_itself() {
        let text = format!("{{\"image\":\"{}\"}}", "iVBORw0K".repeat(100_000));
        assert!(cost_of(&text) < 1_000);
    }
}
