//! Hides credentials in bodies. It works behind the queue, where calls don't wait for it, on bodies that say they are
//! JSON, events or a form. One with a content coding can't be read as it passes, and is kept as it is.

use std::sync::Arc;

use bytes::Bytes;

use super::form::FormRedactor;
use super::json::{Anew, JsonRedactor};
use super::keys::BodyKeys;
use super::mask::Masked;
use crate::capture::HeadBytes;

/// A body under way.
#[derive(Debug)]
pub(crate) struct BodyRedactor {
    keys: Arc<BodyKeys>,
    language: Language,
}

#[derive(Debug)]
enum Language {
    Json(JsonRedactor),
    Form(FormRedactor),
}

impl BodyRedactor {
    /// What reads the body under this head; `None`: nothing can.
    pub(crate) fn of(keys: &Arc<BodyKeys>, head: &HeadBytes) -> Option<Self> {
        let coding = head.get(b"content-encoding").map(<[u8]>::trim_ascii);
        if coding.is_some_and(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")) {
            return None;
        }
        // Without a type it is most often JSON; where it is not, nothing is found.
        let says = head.get(b"content-type").unwrap_or(b"json");
        let has = |word: &[u8]| says.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word));
        let language = if has(b"event-stream") {
            Language::Json(JsonRedactor::new(Anew::Behind(2)))
        } else if has(b"ndjson") || has(b"jsonl") {
            Language::Json(JsonRedactor::new(Anew::Behind(1)))
        } else if has(b"json") {
            Language::Json(JsonRedactor::new(Anew::Never))
        } else if has(b"x-www-form-urlencoded") {
            Language::Form(FormRedactor::Begin)
        } else {
            return None;
        };
        Some(Self { keys: Arc::clone(keys), language })
    }

    /// Bytes of the body are missing before the next ones.
    pub(crate) fn lost_some(&mut self) {
        match &mut self.language {
            Language::Json(json) => json.lost_some(),
            Language::Form(form) => form.lost_some(),
        }
    }

    /// The next bytes as they are recorded, if that is otherwise than they passed; as many as there were.
    pub(crate) fn redact(&mut self, bytes: &[u8]) -> Option<Bytes> {
        let mut masked = Masked::new(bytes);
        match &mut self.language {
            Language::Json(json) => json.feed(&self.keys, bytes, &mut masked),
            Language::Form(form) => form.feed(&self.keys, bytes, &mut masked),
        }
        masked.changed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Redaction;

    const BODY: &[u8] = br#"{"access_token":"abcdefghijklm"}"#;

    fn redactor(headers: &[(&str, &str)]) -> Option<BodyRedactor> {
        let mut head = HeadBytes::default();
        headers.iter().for_each(|(name, value)| head.push(name, value.as_bytes()));
        BodyRedactor::of(&Arc::new(BodyKeys::new(&Redaction::default()).unwrap()), &head)
    }

    #[test]
    fn bodies_are_read_by_their_type() {
        for content_type in ["application/json; charset=utf-8", "application/vnd.a+JSON", "text/event-stream"]
        {
            let shown =
                redactor(&[("a", "b"), ("content-type", content_type)]).unwrap().redact(BODY).unwrap();
            assert_eq!(shown, br#"{"access_token":"redacted:****"}"#.as_slice(), "{content_type}");
        }
        assert!(redactor(&[]).unwrap().redact(BODY).is_some());
        let mut form = redactor(&[("content-type", "application/x-www-form-urlencoded")]).unwrap();
        assert_eq!(form.redact(b"id_token=abc").unwrap(), "id_token=red");
        for content_type in ["audio/mpeg", "text/plain", "multipart/form-data; boundary=x"] {
            assert!(redactor(&[("content-type", content_type)]).is_none(), "{content_type}");
        }
    }

    #[test]
    fn coded_bodies_are_not_read() {
        for (coding, is_read) in [("gzip", false), ("br", false), ("Identity", true), ("", true)] {
            assert_eq!(redactor(&[("content-encoding", coding)]).is_some(), is_read, "{coding}");
        }
    }

    #[test]
    fn after_a_loss_bodies_are_masked_until_a_document_begins_for_certain() {
        let rest = b"cret\"}\r\n{\"a\":1}\r\n\r\n{\"a\":2}";
        for (content_type, expected) in [
            ("application/x-ndjson", "******\r\n{\"a\":1}\r\n\r\n{\"a\":2}"),
            ("text/event-stream", "******\r\n*******\r\n\r\n{\"a\":2}"),
            ("application/json", "******\r\n*******\r\n\r\n*******"),
        ] {
            for at in 0..rest.len() {
                let mut redactor = redactor(&[("content-type", content_type)]).unwrap();
                redactor.redact(b"{\"access_token\":\"se");
                redactor.lost_some();
                let [one, two] = [&rest[..at], &rest[at..]]
                    .map(|bytes| redactor.redact(bytes).unwrap_or_else(|| Bytes::copy_from_slice(bytes)));
                assert_eq!([one, two].concat(), expected.as_bytes(), "{content_type} {at}");
            }
        }
    }
}
