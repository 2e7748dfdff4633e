//! `POST /audio/speech`.

use super::answer_json;
use super::chat::sound;
use crate::answer::{Answer, Frames, Payload};
use crate::call::Call;

const WRITE: usize = 4096;
const SAMPLES_PER_SECOND: u32 = 24_000;

/// Answers with binary audio, in chunks: a playable saw tooth as `wav`, the same samples under every other
/// format's content type.
pub(crate) fn speech(call: &Call<'_>) -> Answer {
    answer_json(call, |body| {
        let input = body["input"].as_str().ok_or("Missing required parameter: 'input'.")?;
        let format = body["response_format"].as_str().unwrap_or("mp3");
        let content_type = match format {
            "mp3" => "audio/mpeg",
            "opus" => "audio/opus",
            "aac" => "audio/aac",
            "flac" => "audio/flac",
            "wav" => "audio/wav",
            "pcm" => "audio/pcm",
            _ => {
                return Err(
                    "Invalid 'response_format': expected mp3, opus, aac, flac, wav or pcm.".to_owned()
                );
            }
        };
        let mut samples = sound(input);
        if let Some(size) = call.directives.size.and_then(|size| usize::try_from(size).ok()) {
            samples = samples.into_iter().cycle().take(size.max(1)).collect();
        }
        let mut frames = Frames::default();
        if format == "wav" {
            frames.push(&wav_header(samples.len()));
        }
        samples.chunks(WRITE).for_each(|piece| frames.push(piece));
        Ok(Answer::new(content_type, Payload::Frames(frames)))
    })
}

/// The header of a WAV file with one channel of 8-bit samples (RIFF, Microsoft 1991).
fn wav_header(length: usize) -> Vec<u8> {
    let length = u32::try_from(length).unwrap_or(u32::MAX - 36);
    let mut header = b"RIFF".to_vec();
    header.extend_from_slice(&(length.saturating_add(36)).to_le_bytes());
    header.extend_from_slice(b"WAVEfmt ");
    header.extend_from_slice(&16_u32.to_le_bytes());
    header.extend_from_slice(&[1, 0, 1, 0]);
    header.extend_from_slice(&SAMPLES_PER_SECOND.to_le_bytes());
    header.extend_from_slice(&SAMPLES_PER_SECOND.to_le_bytes());
    header.extend_from_slice(&[1, 0, 8, 0]);
    header.extend_from_slice(b"data");
    header.extend_from_slice(&length.to_le_bytes());
    header
}
