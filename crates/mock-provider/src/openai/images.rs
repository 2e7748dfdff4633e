//! `POST /images/generations`.

use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{answer_json, created};
use crate::answer::Answer;
use crate::call::Call;
use crate::compose::tokens;

const SIDE: u32 = 32;

/// Makes small images, in base64.
pub(crate) fn images(call: &Call<'_>) -> Answer {
    answer_json(call, |body| {
        let prompt = body["prompt"].as_str().ok_or("Missing required parameter: 'prompt'.")?;
        let n = body["n"].as_u64().unwrap_or(1).clamp(1, 10);
        let data = (0..n)
            .map(|copy| {
                let image = png(call.seed.wrapping_add(copy)).map_err(|error| error.to_string())?;
                Ok(json!({"b64_json": BASE64_STANDARD.encode(image)}))
            })
            .collect::<Result<Vec<Value>, String>>()?;
        let (input, output) = (tokens(prompt), 64 * n);
        Ok(Answer::value(&json!({
            "created": created(call.seed), "background": "opaque", "data": data, "output_format": "png",
            "quality": "low", "size": "1024x1024",
            "usage": {
                "input_tokens": input, "output_tokens": output, "total_tokens": input + output,
                "input_tokens_details": {"image_tokens": 0, "text_tokens": input},
            },
        })))
    })
}

/// A gradient in the seed's colours (PNG, W3C 2003: 8-bit RGB, no filter).
fn png(seed: u64) -> std::io::Result<Vec<u8>> {
    let mut rows = Vec::new();
    for y in 0..SIDE {
        rows.push(0);
        for x in 0..SIDE {
            let level =
                |shift: u32, along: u32| (((seed >> shift) & 0x7f) as u8).wrapping_add((along * 4) as u8);
            rows.extend_from_slice(&[level(0, x), level(8, y), level(16, x + y)]);
        }
    }
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(&rows)?;
    let mut header = Vec::new();
    header.extend_from_slice(&SIDE.to_be_bytes());
    header.extend_from_slice(&SIDE.to_be_bytes());
    header.extend_from_slice(&[8, 2, 0, 0, 0]);
    let mut image = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", header), (b"IDAT", packed.finish()?), (b"IEND", Vec::new())] {
        let mut check = flate2::Crc::new();
        check.update(kind);
        check.update(&data);
        image.extend_from_slice(&u32::try_from(data.len()).unwrap_or_default().to_be_bytes());
        image.extend_from_slice(kind);
        image.extend_from_slice(&data);
        image.extend_from_slice(&check.sum().to_be_bytes());
    }
    Ok(image)
}
