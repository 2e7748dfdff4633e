//! Content of OpenAI's messages, of chat completions and responses alike.

use serde_json::{Value, json};

use crate::json::{Object, ObjectExt, entries, to_text};
use crate::reading::{Audio, Citation, Media, Part, Reasoning, Text};

/// The parts of a message's `content`: nothing, a text, or a list.
pub(crate) fn parts(content: Value) -> Vec<Part> {
    match content {
        Value::Null => Vec::new(),
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::String(text) => vec![Part::text(text)],
        Value::Array(list) => entries(list).map(part).collect(),
        Value::Object(object) => vec![part(Value::Object(object))],
        other => vec![Part::Other { value: other }],
    }
}

/// One part. What is not known stays as it is.
fn part(value: Value) -> Part {
    let mut object = match value {
        Value::String(text) => return Part::text(text),
        Value::Object(object) => object,
        value => return Part::Other { value },
    };
    let kind = object.text("type").unwrap_or_default().to_owned();
    let known = match kind.as_str() {
        "text" | "input_text" | "output_text" | "summary_text" => text(&mut object),
        "refusal" => object.take_string("refusal").map(|text| Part::Refusal { text }),
        "reasoning_text" => object.take_string("text").map(Part::reasoning),
        "thinking" => thinking(&mut object),
        "image_url" | "input_image" | "image" | "image_file" => image(&mut object).map(Part::Image),
        "input_audio" | "audio_url" | "audio" | "output_audio" => audio(&mut object),
        "video_url" | "input_video" | "video" => {
            media_at(&mut object, &["video_url", "video"]).map(Part::Video)
        }
        "file" | "input_file" | "file_url" | "document_url" => file(&mut object).map(Part::File),
        "" if object.contains_key("text") => text(&mut object),
        _ => None,
    };
    known.unwrap_or(Part::Other { value: Value::Object(object) })
}

fn text(object: &mut Object) -> Option<Part> {
    let text = match object.get_mut("text")? {
        Value::String(text) => std::mem::take(text),
        // Assistants' messages: `{value, annotations}`.
        Value::Object(inner) => {
            let text = inner.take_string("value")?;
            let citations = citations(inner.take_list("annotations"));
            return Some(Part::Text(Text { text, citations, signature: None }));
        }
        _ => return None,
    };
    let citations = citations(object.take_list("annotations"));
    Some(Part::Text(Text { text, citations, signature: None }))
}

/// Mistral's thinking: a list of texts.
fn thinking(object: &mut Object) -> Option<Part> {
    let text = match object.remove("thinking")? {
        Value::String(text) => text,
        Value::Array(list) => {
            list.iter().filter_map(|piece| piece.as_str().or_else(|| piece.get("text")?.as_str())).collect()
        }
        other => to_text(&other),
    };
    Some(Part::Reasoning(Reasoning { text, signature: object.take_string("signature"), encrypted: None }))
}

pub(crate) fn image(object: &mut Object) -> Option<Media> {
    if let Some(data) = object.take_string("b64_json") {
        return Some(Media { data: Some(data), ..Media::default() });
    }
    media_at(object, &["image_url", "image", "image_file", "source", "url"])
}

/// Media under one of several names: an address, or an object that holds one; or a file's id.
fn media_at(object: &mut Object, keys: &[&str]) -> Option<Media> {
    for key in keys {
        match object.remove(*key) {
            Some(Value::String(url)) if !url.is_empty() => return Some(media_of_url(url)),
            Some(Value::Object(mut inner)) => {
                let url = inner.take_string("url").or_else(|| inner.take_string("data"));
                let mut media = url.map(media_of_url).unwrap_or_default();
                media.file_id = inner.take_string("file_id");
                return Some(media);
            }
            _ => {}
        }
    }
    let file_id = object.take_string("file_id")?;
    Some(Media { file_id: Some(file_id), ..Media::default() })
}

/// An address, or what a `data:` address holds (RFC 2397).
pub(crate) fn media_of_url(mut url: String) -> Media {
    let Some((media_type, data)) = base64_data(&url) else {
        return Media { url: Some(url), ..Media::default() };
    };
    // In place: the data may be megabytes.
    url.drain(..data);
    Media { media_type, data: Some(url), ..Media::default() }
}

/// Of a `data:` address in base64 its media type, and where its data begins.
fn base64_data(url: &str) -> Option<(Option<String>, usize)> {
    let (scheme, rest) = url.split_at_checked("data:".len())?;
    let (head, data) = rest.split_once(',')?;
    let head = head.strip_suffix(";base64").filter(|_| scheme.eq_ignore_ascii_case("data:"))?;
    let media_type = head.split(';').next().filter(|kind| !kind.is_empty()).map(str::to_owned);
    Some((media_type, url.len() - data.len()))
}

fn audio(object: &mut Object) -> Option<Part> {
    if let Some(mut inner) = object.take_object("input_audio") {
        let media_type = inner.take_string("format").map(|format| format!("audio/{format}"));
        let media = Media { media_type, data: inner.take_string("data"), ..Media::default() };
        return Some(Part::Audio(Audio { media, ..Audio::default() }));
    }
    let transcript = object.take_string("transcript");
    let data = match object.get_mut("audio") {
        Some(Value::String(data)) => Some(std::mem::take(data)),
        _ => object.take_string("data"),
    };
    if transcript.is_some() || data.is_some() {
        let media = Media { data, ..Media::default() };
        return Some(Part::Audio(Audio { media, transcript, ..Audio::default() }));
    }
    let media = media_at(object, &["audio_url", "input_audio", "audio"])?;
    Some(Part::Audio(Audio { media, ..Audio::default() }))
}

fn file(object: &mut Object) -> Option<Media> {
    let mut object = object.take_object("file").unwrap_or_else(|| std::mem::take(object));
    let mut media = match object.take_string("file_data") {
        Some(data) if data.starts_with("data:") => media_of_url(data),
        Some(data) => Media { data: Some(data), ..Media::default() },
        None => Media::default(),
    };
    media.file_id = object.take_string("file_id");
    media.name = object.take_string("filename").or_else(|| object.take_string("document_name"));
    if media.data.is_none() {
        media.url = ["file_url", "document_url", "url"].iter().find_map(|key| object.take_string(key));
    }
    (media != Media::default()).then_some(media)
}

/// Sources that a text cites, as they are listed beside it.
pub(crate) fn citations(list: Vec<Value>) -> Vec<Citation> {
    list.into_iter().map(citation).collect()
}

/// One source, whichever way it is told.
pub(crate) fn citation(value: Value) -> Citation {
    let find = |keys: &[&str]| {
        let places = [
            Some(&value),
            value.get("url_citation"),
            value.get("web"),
            value.get("retrievedContext"),
            value.get("maps"),
        ];
        places.into_iter().flatten().find_map(|place| {
            keys.iter()
                .find_map(|key| place.get(*key)?.as_str())
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        })
    };
    Citation {
        url: value.as_str().map(str::to_owned).or_else(|| find(&["url", "uri", "source"])),
        title: find(&["title", "document_title", "filename"]),
        quote: find(&["cited_text", "quote", "content", "text"]),
        value,
    }
}

/// An image that a provider made.
pub(crate) fn image_made(data: String, format: Option<&str>) -> Part {
    let media_type = format.map(|format| format!("image/{format}"));
    Part::Image(Media { media_type, data: Some(data), ..Media::default() })
}

/// JSON of which only the texts count, joined; anything else as JSON.
pub(crate) fn arguments(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        value => to_text(&value),
    }
}

/// What of an object is left once everything known was taken, without what is null or empty.
pub(crate) fn left(object: Object) -> Object {
    object
        .into_iter()
        .filter(|(_, value)| {
            !value.is_null() && *value != json!([]) && *value != json!({}) && *value != json!("")
        })
        .collect()
}
