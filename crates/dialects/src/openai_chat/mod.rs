//! OpenAI's chat completions, and what some forty other providers made of them.

pub(crate) mod answer;
pub(crate) mod content;
mod plain;
pub(crate) mod request;
pub(crate) mod stream;
#[cfg(test)]
mod tests;
pub(crate) mod tools;

use crate::json::Object;
use crate::language::{Fold, Language};
use crate::reading::Reading;

/// Chat completions.
pub(crate) struct Chat;

impl Language for Chat {
    fn request(&self, body: Object, reading: &mut Reading) {
        request::read(body, reading);
    }

    fn document(&self, body: Object, reading: &mut Reading) {
        answer::read(body, reading);
    }

    fn fold(&self) -> Box<dyn Fold> {
        Box::new(stream::ChatFold::default())
    }
}
