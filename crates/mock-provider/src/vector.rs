//! Embeddings: vectors of length 1 that belong to a text.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::call::seed_of;
use crate::ledger::Digest;
use crate::random::Draw;

/// No embedding has more dimensions.
pub(crate) const MOST_DIMENSIONS: u64 = 16_384;

/// The vector of a text; the same for the same text.
pub(crate) fn embed(text: &str, dimensions: usize) -> Vec<f32> {
    let mut draw = Draw::new(seed_of(&Digest::of(text.as_bytes()), ""));
    let steps = 1 << 16;
    let mut vector: Vec<f32> =
        (0..dimensions).map(|_| draw.below(steps) as f32 / steps as f32 - 0.5).collect();
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
    vector
}

/// A vector as a JSON array.
pub(crate) fn as_json(vector: &[f32]) -> serde_json::Value {
    // By way of text: the shortest decimal of an f32 is not that of the same number as an f64.
    vector.iter().filter_map(|value| value.to_string().parse::<f64>().ok()).collect()
}

/// A vector as base64 of little-endian floats, as OpenAI encodes it.
pub(crate) fn as_base64(vector: &[f32]) -> String {
    BASE64_STANDARD.encode(vector.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_length_one_and_both_encodings_agree() {
        let vector = embed("hello", 64);
        assert!((vector.iter().map(|value| value * value).sum::<f32>() - 1.0).abs() < 1e-4);
        assert_eq!(vector, embed("hello", 64));
        assert_ne!(vector, embed("hallo", 64));
        let bytes = BASE64_STANDARD.decode(as_base64(&vector)).unwrap();
        let decoded: Vec<f32> =
            bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        let read: Vec<f32> = serde_json::from_str(&as_json(&vector).to_string()).unwrap();
        assert_eq!((&decoded, &read), (&vector, &vector));
    }
}
