//! Gives types to settings: a serde deserializer over what was given.
//!
//! Text from the environment and the command line is read as what its setting wants; what a file says must have the
//! right type.

use std::collections::btree_map;
use std::slice;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::layers::{Given, Node, Scalar};
use super::problem::Problem;

/// Reads one node.
pub(super) struct Reader<'a>(pub(super) &'a Given);

impl<'a> Reader<'a> {
    fn untyped(&self) -> Option<&'a str> {
        match &self.0.node {
            Node::Scalar(Scalar::Untyped(text)) => Some(text.trim()),
            _ => None,
        }
    }
}

/// Reads a number from text where the text is untyped, and anything else as it is.
macro_rules! numbers {
    ($($method:ident => $visit:ident: $type:ty),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            match self.untyped() {
                Some(text) => match text.parse::<$type>() {
                    Ok(number) => visitor.$visit(number),
                    Err(_) => Err(Problem::invalid_value(Unexpected::Str(text), &visitor)),
                },
                None => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match &self.0.node {
            Node::Scalar(Scalar::Text(text) | Scalar::Untyped(text)) => visitor.visit_str(text),
            Node::Scalar(Scalar::Integer(number)) => visitor.visit_i64(*number),
            Node::Scalar(Scalar::Float(number)) => visitor.visit_f64(*number),
            Node::Scalar(Scalar::Boolean(boolean)) => visitor.visit_bool(*boolean),
            Node::List(list) => visitor.visit_seq(List(list.iter())),
            Node::Table(table) => visitor.visit_map(Table { entries: table.iter(), value: None }),
        }
    }

    numbers! {
        deserialize_bool => visit_bool: bool,
        deserialize_u16 => visit_u16: u16,
        deserialize_u32 => visit_u32: u32,
        deserialize_u64 => visit_u64: u64,
        deserialize_i64 => visit_i64: i64,
        deserialize_f64 => visit_f64: f64,
    }

    /// Untyped text is a list of its comma-separated items.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.untyped() {
            Some(text) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                visitor.visit_seq(serde::de::value::SeqDeserializer::<_, Problem>::new(items.map(Item)))
            }
            None => self.deserialize_any(visitor),
        }
    }

    /// A setting that may be absent is so where it is given as empty text.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match &self.0.node {
            Node::Scalar(Scalar::Text(text) | Scalar::Untyped(text)) if text.is_empty() => {
                visitor.visit_none()
            }
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match &self.0.node {
            Node::Scalar(Scalar::Text(text) | Scalar::Untyped(text)) => {
                visitor.visit_enum(Variant(text.trim()))
            }
            _ => Err(Problem::unknown_variant("", variants)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u128 f32 char str string bytes byte_buf unit unit_struct tuple tuple_struct map
        struct identifier ignored_any
    }
}

struct List<'a>(slice::Iter<'a, Given>);

impl<'de> SeqAccess<'de> for List<'_> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        self.0.next().map(|given| seed.deserialize(Reader(given))).transpose()
    }
}

struct Table<'a> {
    entries: btree_map::Iter<'a, String, Given>,
    value: Option<&'a Given>,
}

impl<'de> MapAccess<'de> for Table<'_> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some(value);
        let key: StrDeserializer<'_, Problem> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let value = self.value.take().ok_or_else(|| Problem::custom("a value"))?;
        seed.deserialize(Reader(value))
    }
}

/// One item of a comma-separated text.
struct Item<'a>(&'a str);

impl<'de> IntoDeserializer<'de, Problem> for Item<'_> {
    type Deserializer = serde::de::value::StringDeserializer<Problem>;

    fn into_deserializer(self) -> Self::Deserializer {
        self.0.to_owned().into_deserializer()
    }
}

struct Variant<'a>(&'a str);

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Problem;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Problem> {
        let name: StrDeserializer<'_, Problem> = self.0.into_deserializer();
        seed.deserialize(name).map(|value| (value, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Problem;

    fn unit_variant(self) -> Result<(), Problem> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Problem> {
        Err(Problem::custom("a single word"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Problem> {
        Err(Problem::custom("a single word"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Problem> {
        Err(Problem::custom("a single word"))
    }
}
