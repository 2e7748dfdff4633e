//! Forms with files (RFC 7578), as far as reading a request needs them: the small fields, and what files there are.

use memchr::memmem;
use serde_json::{Value, json};

use crate::json::Object;

/// The largest text field that is read, in bytes.
const FIELD_LIMIT: usize = 256 * 1024;

/// Fields that are read, from the first.
const MOST_FIELDS: usize = 4096;

/// The form's fields: texts, and for a file its name, media type and size. Repeated fields become a list.
pub(crate) fn form(content_type: &str, body: &[u8]) -> Option<Object> {
    let boundary = boundary(content_type)?;
    let delimiter = format!("--{boundary}");
    let mut form = Object::new();
    let mut starts: Vec<usize> = memmem::find_iter(body, delimiter.as_bytes()).take(MOST_FIELDS).collect();
    if starts.len() < MOST_FIELDS {
        starts.push(body.len());
    }
    for pair in starts.windows(2) {
        let from = (pair[0] + delimiter.len()).min(pair[1]);
        if let Some((name, value)) = field(&body[from..pair[1]]) {
            match form.get_mut(&name) {
                Some(Value::Array(list)) => list.push(value),
                Some(have) => *have = Value::Array(vec![have.take(), value]),
                None => {
                    form.insert(name, value);
                }
            }
        }
    }
    Some(form)
}

fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().to_ascii_lowercase().starts_with("multipart/") {
        return None;
    }
    let boundary = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    })?;
    (!boundary.is_empty()).then_some(boundary)
}

fn field(part: &[u8]) -> Option<(String, Value)> {
    let part = part.strip_prefix(b"\r\n").or_else(|| part.strip_prefix(b"\n"))?;
    let (head, body) = match memmem::find(part, b"\r\n\r\n") {
        Some(at) => (&part[..at], &part[at + 4..]),
        None => {
            let at = memmem::find(part, b"\n\n")?;
            (&part[..at], &part[at + 2..])
        }
    };
    let body = body.strip_suffix(b"\r\n").or_else(|| body.strip_suffix(b"\n")).unwrap_or(body);
    let head = String::from_utf8_lossy(head);
    let header = |wanted: &str| {
        head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
        })
    };
    let disposition = header("content-disposition")?;
    let name = parameter(&disposition, "name")?;
    let value = match parameter(&disposition, "filename") {
        Some(filename) => {
            json!({"filename": filename, "media_type": header("content-type"), "bytes": body.len()})
        }
        None => Value::String(String::from_utf8_lossy(&body[..body.len().min(FIELD_LIMIT)]).into_owned()),
    };
    Some((name, value))
}

fn parameter(disposition: &str, wanted: &str) -> Option<String> {
    disposition.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_and_files_are_read() {
        let body = b"--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
            --XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n\
            \x00\xff\r\n--XX\r\nContent-Disposition: form-data; name=\"g[]\"\r\n\r\na\r\n\
            --XX\r\nContent-Disposition: form-data; name=\"g[]\"\r\n\r\nb\r\n--XX--\r\n";
        let form = form("multipart/form-data; boundary=\"XX\"", body).unwrap();
        assert_eq!(
            Value::Object(form),
            json!({"model": "whisper-1", "g[]": ["a", "b"],
                "file": {"filename": "a.wav", "media_type": "audio/wav", "bytes": 2}})
        );
    }

    #[test]
    fn another_kind_is_no_form() {
        assert_eq!(form("application/json; boundary=x", b"{}"), None);
        assert_eq!(form("multipart/form-data", b"--\r\n"), None);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(body in "(--X|\r\n|\n|Content-Disposition: form-data; name=|\"|;|filename=|a){0,30}") {
            let _ = form("multipart/form-data; boundary=X", body.as_bytes());
        }
    }
}
