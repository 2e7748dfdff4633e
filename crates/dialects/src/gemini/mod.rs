//! Gemini's language, as Gemini and Vertex speak it.

mod answer;
mod interactions;
mod parts;
mod request;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::json::Object;
use crate::language::{Fold, Language};
use crate::reading::Reading;

/// Gemini at one of its paths.
pub(crate) struct Gemini {
    streams: bool,
    interactions: bool,
}

impl Gemini {
    pub(crate) fn at(path: &[Cow<'_, str>]) -> Self {
        Self {
            streams: path.last().is_some_and(|last| last.ends_with(":streamGenerateContent")),
            interactions: path.iter().any(|segment| segment == "interactions"),
        }
    }
}

impl Language for Gemini {
    fn request(&self, body: Object, reading: &mut Reading) {
        if self.interactions {
            interactions::read_request(body, reading);
        } else {
            reading.stream_asked = self.streams;
            request::read(body, reading);
        }
    }

    fn document(&self, body: Object, reading: &mut Reading) {
        if self.interactions {
            interactions::read(body, reading);
        } else {
            answer::read(body, reading);
        }
    }

    fn streams_arrays(&self) -> bool {
        self.streams
    }

    fn fold(&self) -> Box<dyn Fold> {
        if self.interactions {
            Box::new(interactions::InteractionsFold::default())
        } else {
            Box::new(answer::GeminiFold::default())
        }
    }
}
