//! An example value for a JSON schema.

use serde_json::{Map, Value, json};

use crate::random::Draw;

/// Schemas may refer to themselves; deeper than this, an example ends.
const DEEPEST: usize = 12;

/// A value that fits a schema as far as the mock understands it: types, enumerations, constants, required and
/// optional properties, arrays, local references, unions (the first branch). Strings are taken from `words`.
pub(crate) fn example(schema: &Value, words: &[String], draw: &mut Draw) -> Value {
    Example { root: schema, words, draw }.of(schema, "", 0)
}

struct Example<'a> {
    root: &'a Value,
    words: &'a [String],
    draw: &'a mut Draw,
}

impl Example<'_> {
    fn of(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        if depth > DEEPEST {
            return Value::Null;
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let root = self.root;
            return match target.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) {
                Some(target) => self.of(target, name, depth + 1),
                None => Value::Null,
            };
        }
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(choices) =
            schema.get("enum").and_then(Value::as_array).filter(|choices| !choices.is_empty())
        {
            return choices[self.draw.below(choices.len())].clone();
        }
        for union in ["anyOf", "oneOf", "allOf"] {
            if let Some(first) =
                schema.get(union).and_then(Value::as_array).and_then(|branches| branches.first())
            {
                return self.of(first, name, depth + 1);
            }
        }
        match type_of(schema).as_deref() {
            Some("object") => self.object(schema, depth),
            Some("array") => self.array(schema, name, depth),
            Some("string") => self.string(schema, name).into(),
            Some("integer") => self.integer(schema).into(),
            Some("number") => json!(self.integer(schema) as f64 + 0.5),
            Some("boolean") => self.draw.chance(50).into(),
            _ => Value::Null,
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let mut object = Map::new();
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            object.insert(name.clone(), self.of(property, name, depth + 1));
        }
        Value::Object(object)
    }

    fn array(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        let number =
            |key| schema.get(key).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
        let least = number("minItems").unwrap_or(1).min(64);
        let length = number("maxItems").unwrap_or(least.max(2)).min(least.max(2)).max(least);
        let items = schema.get("items").unwrap_or(&Value::Null);
        (0..length).map(|_| self.of(items, name, depth + 1)).collect()
    }

    fn string(&mut self, schema: &Value, name: &str) -> String {
        match schema.get("format").and_then(Value::as_str) {
            Some("date") => "2026-03-14".to_owned(),
            Some("date-time") => "2026-03-14T09:26:53Z".to_owned(),
            Some("email") => "ada@example.com".to_owned(),
            Some("uri" | "url") => "https://example.com/".to_owned(),
            _ if name.contains("date") => "2026-03-14".to_owned(),
            _ if self.words.is_empty() => name.to_owned(),
            // The last word is, as a rule, what a question is about.
            _ => self.words[self.words.len() - 1].clone(),
        }
    }

    fn integer(&mut self, schema: &Value) -> i64 {
        let bound = |key| schema.get(key).and_then(Value::as_i64);
        let least = bound("minimum").unwrap_or(1);
        let most = bound("maximum").unwrap_or(least.saturating_add(9)).max(least);
        let span = usize::try_from(most.saturating_sub(least)).unwrap_or(usize::MAX).saturating_add(1);
        least.saturating_add(i64::try_from(self.draw.below(span)).unwrap_or_default())
    }
}

/// The schema's type in lower case (Gemini writes it in capitals); of several, the first that is not null.
fn type_of(schema: &Value) -> Option<String> {
    let name = match schema.get("type") {
        Some(Value::String(name)) => name,
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).find(|name| *name != "null")?,
        _ if schema.get("properties").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        _ => return None,
    };
    Some(name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in_every_property_by_its_type() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius"]},
                "days": {"type": "integer", "minimum": 3, "maximum": 3},
                "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}, "maxItems": 1},
                "note": {"type": ["null", "string"]},
                "when": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
            },
            "$defs": {"part": {"type": "OBJECT", "properties": {"on": {"const": true}}}},
        });
        let value = example(&schema, &["Paris".to_owned()], &mut Draw::new(1));
        let expected = json!({
            "city": "Paris", "unit": "celsius", "days": 3, "parts": [{"on": true}], "note": "Paris",
            "when": "2026-03-14",
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn ends_where_a_schema_refers_to_itself() {
        let schema = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
        assert!(example(&schema, &[], &mut Draw::new(1)).is_object());
        let hostile = json!({"type": "integer", "minimum": i64::MIN, "maximum": i64::MAX});
        assert!(example(&hostile, &[], &mut Draw::new(1)).is_i64());
    }
}
