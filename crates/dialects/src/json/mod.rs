//! Taking JSON apart without trusting its shape.

mod budget;
mod kept;

use std::borrow::Cow;

use serde_json::{Map, Value};

pub(crate) use self::budget::{BoundedObject, Budget, Unparsed};
pub(crate) use self::kept::{Frames, kept};

/// An object as it came off the wire.
pub(crate) type Object = Map<String, Value>;

/// Parses JSON within a budget; bytes that are not UTF-8 are replaced rather than refused.
pub(crate) fn parse(bytes: &[u8], budget: &Budget) -> Result<Value, Unparsed> {
    let parsed = budget.parse(bytes);
    if parsed != Err(Unparsed::NotJson) || !is_meant(bytes) {
        return parsed;
    }
    match String::from_utf8_lossy(bytes) {
        Cow::Owned(mended) => budget.parse(mended.as_bytes()),
        Cow::Borrowed(_) => parsed,
    }
}

/// Whether bytes are meant as JSON, rather than a form or a file.
pub(crate) fn is_meant(bytes: &[u8]) -> bool {
    matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'[' | b'"'))
}

/// The entries of a list that hold content. Numbers and flags are none; those that stand in a row are one entry, a
/// list, so that a million of them don't become a million messages.
pub(crate) fn entries(list: Vec<Value>) -> impl Iterator<Item = Value> {
    let is_bare = |value: &Value| matches!(value, Value::Null | Value::Bool(_) | Value::Number(_));
    let mut list = list.into_iter().peekable();
    std::iter::from_fn(move || {
        let first = list.next()?;
        if !is_bare(&first) || !list.peek().is_some_and(is_bare) {
            return Some(first);
        }
        let mut row = vec![first];
        while let Some(next) = list.next_if(is_bare) {
            row.push(next);
        }
        Some(Value::Array(row))
    })
}

/// A JSON value as the text it travels as.
pub(crate) fn to_text(value: &Value) -> String {
    value.to_string()
}

/// Reading fields of a type that is expected, and leaving what is of another.
pub(crate) trait ObjectExt {
    /// Takes a text that is there and not empty of type.
    fn take_string(&mut self, key: &str) -> Option<String>;
    /// Takes a word: text, or a number or boolean written out.
    fn take_word(&mut self, key: &str) -> Option<String>;
    /// Takes an object.
    fn take_object(&mut self, key: &str) -> Option<Object>;
    /// Takes a list; empty if there is none.
    fn take_list(&mut self, key: &str) -> Vec<Value>;
    /// Takes a value that is there and not null.
    fn take_value(&mut self, key: &str) -> Option<Value>;
    /// Looks at a text.
    fn text(&self, key: &str) -> Option<&str>;
    /// Looks at an object.
    fn object(&self, key: &str) -> Option<&Object>;
    /// Looks at a count: a number that is not negative.
    fn count(&self, key: &str) -> Option<u64>;
    /// Whether a flag is set.
    fn flag(&self, key: &str) -> bool;
}

impl ObjectExt for Object {
    fn take_string(&mut self, key: &str) -> Option<String> {
        match self.get_mut(key)? {
            Value::String(text) => {
                let text = std::mem::take(text);
                self.remove(key);
                Some(text)
            }
            _ => None,
        }
    }

    fn take_word(&mut self, key: &str) -> Option<String> {
        let word = word(self.get(key)?)?;
        self.remove(key);
        Some(word)
    }

    fn take_object(&mut self, key: &str) -> Option<Object> {
        match self.get_mut(key)? {
            Value::Object(object) => {
                let object = std::mem::take(object);
                self.remove(key);
                Some(object)
            }
            _ => None,
        }
    }

    fn take_list(&mut self, key: &str) -> Vec<Value> {
        match self.get_mut(key) {
            Some(Value::Array(list)) => {
                let list = std::mem::take(list);
                self.remove(key);
                list
            }
            _ => Vec::new(),
        }
    }

    fn take_value(&mut self, key: &str) -> Option<Value> {
        self.remove(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    fn object(&self, key: &str) -> Option<&Object> {
        self.get(key)?.as_object()
    }

    fn count(&self, key: &str) -> Option<u64> {
        count(self.get(key)?)
    }

    fn flag(&self, key: &str) -> bool {
        self.get(key) == Some(&Value::Bool(true))
    }
}

/// A number that counts something: not negative; some providers write `12.0`.
pub(crate) fn count(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        // 2^53: beyond it a float does not count.
        (0.0..=9_007_199_254_740_992.0).contains(&number).then(|| number.round() as u64)
    })
}

/// Text, or a number or boolean written out.
pub(crate) fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// How far back the piece of a stream may refer to an earlier one by a name or number. Looking through all that came
/// before, for every piece, would take for ever where somebody sends a million.
pub(crate) const NEAR: usize = 256;

/// Joins a piece of a streamed value to what came before: texts are appended, lists extended, objects joined key by
/// key, anything else replaced. List entries with an `index` join the entry of that index, if it is among the last
/// [`NEAR`].
pub(crate) fn join(into: &mut Value, piece: Value) {
    match (into, piece) {
        (_, Value::Null) => {}
        (Value::String(text), Value::String(more)) => text.push_str(&more),
        (Value::Array(list), Value::Array(more)) => {
            for entry in more {
                let index = entry.get("index").and_then(Value::as_u64);
                let same = index.and_then(|index| {
                    list.iter_mut()
                        .rev()
                        .take(NEAR)
                        .find(|have| have.get("index").and_then(Value::as_u64) == Some(index))
                });
                match same {
                    Some(have) => join(have, entry),
                    None => list.push(entry),
                }
            }
        }
        (Value::Object(object), Value::Object(more)) => join_object(object, more),
        (into, piece) => *into = piece,
    }
}

/// See [`join`]. What names a piece rather than continues it (`type`, `id`, `index`, ...) is not appended.
pub(crate) fn join_object(into: &mut Object, piece: Object) {
    for (key, value) in piece {
        match into.get_mut(&key) {
            Some(have) if !matches!(key.as_str(), "type" | "id" | "index" | "format" | "name" | "role") => {
                join(have, value);
            }
            Some(have) if !value.is_null() => *have = value,
            Some(_) => {}
            None => {
                into.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pieces_join_by_type_and_index() {
        let mut have = json!({"a": "x", "l": [{"index": 0, "t": "1", "type": "k"}], "n": 1, "gone": "kept"});
        join(
            &mut have,
            json!({"a": "y", "l": [{"index": 0, "t": "2", "type": "k"}, {"index": 1}], "n": 2, "gone": null, "new": true}),
        );
        assert_eq!(
            have,
            json!({"a": "xy", "l": [{"index": 0, "t": "12", "type": "k"}, {"index": 1}], "n": 2, "gone": "kept", "new": true})
        );
    }

    #[test]
    fn bytes_that_are_not_utf8_do_not_break_a_document() {
        assert_eq!(parse(b"{\"a\":\"x\xff\"}", &Budget::new()), Ok(json!({"a": "x\u{fffd}"})));
        assert_eq!(parse(b"{\"a\":", &Budget::new()), Err(Unparsed::NotJson));
        assert_eq!(parse(b"{\"a\":\"\xff\"}", &Budget::of(0)), Err(Unparsed::TooMuch));
    }

    #[test]
    fn numbers_in_a_row_are_one_entry() {
        let list = vec![json!(1), json!(2), json!("a"), json!(null), json!({}), json!(true), json!(3)];
        let entries: Vec<Value> = entries(list).collect();
        assert_eq!(entries, [json!([1, 2]), json!("a"), json!(null), json!({}), json!([true, 3])]);
    }

    #[test]
    fn counts_are_never_negative() {
        assert_eq!(count(&json!(12.0)), Some(12));
        assert_eq!(count(&json!(-1)), None);
        assert_eq!(count(&json!(1e300)), None);
        assert_eq!(count(&json!("5")), None);
    }
}
