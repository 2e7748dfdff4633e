//! Answers with embeddings, read without looking at a single number of their vectors.

use std::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, SeqAccess, Visitor};

use crate::counting;
use crate::json::BoundedObject;
use crate::reading::Reading;

#[derive(Deserialize)]
struct List {
    data: Option<Count>,
    model: Option<String>,
    id: Option<String>,
    usage: Option<BoundedObject>,
    error: Option<IgnoredAny>,
}

/// How many entries a list has.
struct Count(usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counting;
        impl<'de> Visitor<'de> for Counting {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Count, A::Error> {
                let mut count = 0;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Count(count))
            }
        }
        deserializer.deserialize_seq(Counting)
    }
}

/// Reads a list of embeddings; whether it was one.
pub(super) fn read(bytes: &[u8], reading: &mut Reading) -> bool {
    let Ok(List { data: Some(Count(count)), model, id, usage, error: None }) = serde_json::from_slice(bytes)
    else {
        return false;
    };
    reading.model_served = model.filter(|model| !model.is_empty());
    reading.provider_request_id = id;
    reading.usage = usage.as_ref().and_then(|usage| counting::openai(&usage.0));
    reading.note(format!("the answer holds {count} {}", if count == 1 { "vector" } else { "vectors" }));
    true
}
