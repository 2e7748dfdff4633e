//! Every setting with its value and where that was given, for people to read.

use serde_json::Value;

use super::{Config, Origin};

/// One setting in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its path, such as `web.listen`.
    pub(crate) key: String,
    /// As a file would say it; secrets are masked.
    pub(crate) value: String,
    pub(crate) origin: Origin,
}

impl Config {
    /// Every setting in force.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let tree = serde_json::to_value(&self.settings).unwrap_or_default();
        self.collect("", &tree, &mut entries);
        // What stands in no section comes first, as in a file.
        entries.sort_by_key(|entry| (entry.key.contains('.'), entry.key.clone()));
        entries
    }

    fn collect(&self, key: &str, value: &Value, entries: &mut Vec<Entry>) {
        let below = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| self.collect(&below(name), value, entries));
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                for (index, item) in items.iter().enumerate() {
                    self.collect(&below(&index.to_string()), item, entries);
                }
            }
            _ => {
                let value = if value.is_null() { "(none)".into() } else { value.to_string() };
                entries.push(Entry { key: key.to_owned(), value, origin: self.origin(key) });
            }
        }
    }
}
