//! Forms with files (RFC 7578), as far as an answer needs to know them.

use memchr::memmem;

use crate::call::{Call, RequestBody};

/// A form's fields. Of a body that was too long to keep, those near its beginning and its end.
pub(crate) struct Form {
    fields: Vec<Field>,
}

struct Field {
    name: String,
    filename: Option<String>,
    value: Vec<u8>,
}

impl Form {
    /// Reads a call's form; what is wrong with it, if it is none.
    pub(crate) fn read(call: &Call<'_>) -> Result<Self, String> {
        let boundary = call
            .header("content-type")
            .filter(|kind| kind.starts_with("multipart/form-data"))
            .and_then(|kind| kind.split(';').find_map(|item| item.trim().strip_prefix("boundary=")))
            .map(|boundary| format!("--{}", boundary.trim_matches('"')))
            .ok_or("Expected a multipart/form-data body with a boundary.")?;
        let mut fields = Vec::new();
        match call.body {
            RequestBody::Whole(bytes) => read_fields(bytes, &boundary, &mut fields),
            RequestBody::Ends { first, last, .. } => {
                read_fields(first, &boundary, &mut fields);
                read_fields(last, &boundary, &mut fields);
            }
        }
        Ok(Self { fields })
    }

    /// A field's text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|field| field.name == name && field.filename.is_none())?;
        std::str::from_utf8(&field.value).ok()
    }

    /// The first file: its name and its length in bytes, as far as it was kept.
    pub(crate) fn file(&self) -> Option<(&str, usize)> {
        self.fields.iter().find_map(|field| Some((field.filename.as_deref()?, field.value.len())))
    }
}

fn read_fields(bytes: &[u8], boundary: &str, fields: &mut Vec<Field>) {
    let starts: Vec<usize> = memmem::find_iter(bytes, boundary.as_bytes()).collect();
    for (index, start) in starts.iter().enumerate() {
        let part = &bytes[start + boundary.len()..starts.get(index + 1).copied().unwrap_or(bytes.len())];
        let Some(head_end) = memmem::find(part, b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&part[..head_end]).into_owned();
        let value = part[head_end + 4..].strip_suffix(b"\r\n").unwrap_or(&part[head_end + 4..]);
        if let Some(name) = parameter(&head, "; name=\"") {
            fields.push(Field { name, filename: parameter(&head, "filename=\""), value: value.to_vec() });
        }
    }
}

fn parameter(head: &str, key: &str) -> Option<String> {
    let rest = &head[head.find(key)? + key.len()..];
    rest.split_once('"').map(|(value, _)| value.to_owned())
}
