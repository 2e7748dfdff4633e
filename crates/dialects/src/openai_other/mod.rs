//! The rest of OpenAI's API, and what others offer in its manner: completions, embeddings, images, audio, moderations,
//! reranking, files, models, assistants, realtime.
//!
//! Inputs are read as messages, so that they are found like any other; outputs as far as they are words or pictures.
//! Vectors are counted, not kept.

mod answer;
mod embeddings;
pub(crate) mod realtime;
mod request;
mod stream;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::json::Object;
use crate::language::{Fold, Language};
use crate::reading::{Audio, Choice, Media, Part, Reading};

/// One of the other endpoints.
pub(crate) struct Other {
    endpoint: Endpoint,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Embeddings,
    Audio,
    Images,
    /// Everything whose answer tells by itself what it is.
    Any,
}

impl Other {
    pub(crate) fn at(path: &[Cow<'_, str>]) -> Self {
        let endpoint = path.iter().rev().find_map(|segment| match segment.as_ref() {
            "embeddings" => Some(Endpoint::Embeddings),
            "audio" => Some(Endpoint::Audio),
            "images" => Some(Endpoint::Images),
            _ => None,
        });
        Self { endpoint: endpoint.unwrap_or(Endpoint::Any) }
    }
}

impl Language for Other {
    fn request(&self, body: Object, reading: &mut Reading) {
        request::read(body, self.endpoint == Endpoint::Audio, reading);
    }

    fn document(&self, body: Object, reading: &mut Reading) {
        answer::read(body, self.endpoint == Endpoint::Images, reading);
    }

    fn document_bytes(&self, bytes: &[u8], reading: &mut Reading) -> bool {
        self.endpoint == Endpoint::Embeddings && embeddings::read(bytes, reading)
    }

    fn text(&self, text: &str, reading: &mut Reading) {
        // Transcriptions may be asked for as plain text or subtitles; a file may be anything.
        if self.endpoint == Endpoint::Audio {
            reading.answer.choices.push(Choice { parts: vec![Part::text(text)], ..Choice::default() });
        } else {
            reading.note(format!("the answer is {} bytes of text", text.len()));
        }
    }

    fn binary(&self, media_type: Option<&str>, bytes: &[u8], reading: &mut Reading) {
        reading.note(format!(
            "the answer is {} bytes of {}",
            bytes.len(),
            media_type.unwrap_or("an unknown kind")
        ));
        if self.endpoint == Endpoint::Audio {
            let media = Media { media_type: media_type.map(str::to_owned), ..Media::default() };
            let parts = vec![Part::Audio(Audio { media, ..Audio::default() })];
            reading.answer.choices.push(Choice { parts, ..Choice::default() });
        }
    }

    fn streams_lines(&self) -> bool {
        // Batches and fine-tuning read and write files of JSON lines.
        false
    }

    fn fold(&self) -> Box<dyn Fold> {
        Box::new(stream::OtherFold::default())
    }
}
