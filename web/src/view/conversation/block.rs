//! Pieces of a turn, each with a bound on what is shown of it at first.

use askama::Template;
use verbatim_dialects as dialects;
use verbatim_dialects::Part;

use super::place::{Place, pretty, words_of};
use crate::error::floor;
use crate::text::Text;
use crate::view::{format, markdown};

/// Of one text so much is shown at first, in bytes.
const FIRST: usize = 8 * 1024;
/// Of one text so much is shown where the page has become long already.
const LEAST: usize = 600;
/// All texts of a page together, in bytes.
const PAGE: usize = 300 * 1024;
/// One picture that stands in the page at once, in base64 characters.
const PICTURE: usize = 1024 * 1024;
/// All pictures of a page together.
const PICTURES: usize = 4 * 1024 * 1024;

/// The part of a text that is left for later.
#[derive(Debug, Clone)]
pub(crate) struct Rest {
    pub(crate) url: String,
    pub(crate) left: String,
}

/// A text, or the beginning of one.
#[derive(Debug, Clone)]
pub(crate) struct Words {
    /// What is shown: sanitised HTML or plain text.
    pub(crate) body: String,
    pub(crate) is_html: bool,
    pub(crate) rest: Option<Rest>,
}

/// An image, sound, film or document.
#[derive(Debug, Clone)]
pub(crate) struct Media {
    pub(crate) kind: &'static str,
    pub(crate) about: String,
    /// A picture to show now.
    pub(crate) picture: Option<String>,
    /// A sound to play.
    pub(crate) sound: Option<String>,
    /// Loads the picture when asked to.
    pub(crate) show: Option<String>,
    /// Its address elsewhere, which is never loaded.
    pub(crate) address: Option<String>,
    /// Whether that address may be a link.
    pub(crate) is_web: bool,
}

/// A piece of a turn.
#[derive(Debug, Clone)]
pub(crate) enum Block {
    Words(Words),
    Reasoning(Words),
    HiddenReasoning,
    Refusal(Words),
    ToolCall { name: String, by_provider: bool, arguments: Words, result: Option<(bool, Vec<Block>)> },
    ToolResult { name: String, failed: bool, blocks: Vec<Block> },
    Media(Media),
    Citations(Vec<(String, Option<String>)>),
    Other(Words),
    More { parts: usize },
}

#[derive(Template)]
#[template(path = "block.html")]
struct BlockTemplate<'a> {
    b: &'a Block,
    t: &'static Text,
}

impl Block {
    /// The block as HTML. What was recorded is escaped or sanitised in it.
    pub(crate) fn html(&self, t: &'static Text) -> String {
        BlockTemplate { b: self, t }.render().unwrap_or_default()
    }
}

/// Makes blocks, and keeps the page within bounds.
pub(super) struct Builder {
    id: String,
    text: &'static Text,
    words_left: usize,
    pictures_left: usize,
}

impl Builder {
    pub(super) fn new(id: &str, text: &'static Text) -> Self {
        Self { id: id.to_owned(), text, words_left: PAGE, pictures_left: PICTURES }
    }

    /// Adds what a part shows.
    pub(super) fn push(&mut self, part: &Part, place: &Place, markdown: bool, blocks: &mut Vec<Block>) {
        match part {
            Part::Text(text) => {
                if !text.text.is_empty() {
                    blocks.push(Block::Words(self.words(&text.text, place, markdown)));
                }
                let citations = citations(&text.citations);
                if !citations.is_empty() {
                    blocks.push(Block::Citations(citations));
                }
            }
            Part::Reasoning(reasoning) if reasoning.text.is_empty() => blocks.push(Block::HiddenReasoning),
            Part::Reasoning(reasoning) => {
                blocks.push(Block::Reasoning(self.words(&reasoning.text, place, false)));
            }
            Part::Refusal { text } => blocks.push(Block::Refusal(self.words(text, place, false))),
            Part::ToolCall(call) => blocks.push(self.tool_call(call, place, None)),
            Part::ToolResult(result) => blocks.push(Block::ToolResult {
                name: result.name.clone().unwrap_or_default(),
                failed: result.is_error,
                blocks: Vec::new(),
            }),
            Part::Image(media) => blocks.push(Block::Media(self.media(self.text.image, media, place))),
            Part::Video(media) => blocks.push(Block::Media(self.media(self.text.video, media, place))),
            Part::File(media) => blocks.push(Block::Media(self.media(self.text.file, media, place))),
            Part::Audio(audio) => {
                blocks.push(Block::Media(self.media(self.text.audio, &audio.media, place)));
                if let Some(transcript) = audio.transcript.as_deref().filter(|text| !text.is_empty()) {
                    blocks.push(Block::Words(self.words(transcript, place, false)));
                }
            }
            Part::Other { .. } => {
                let words = words_of(part).unwrap_or_default();
                blocks.push(Block::Other(self.words(&words, place, false)));
            }
        }
    }

    pub(super) fn tool_call(
        &mut self,
        call: &dialects::ToolCall,
        place: &Place,
        result: Option<(bool, Vec<Block>)>,
    ) -> Block {
        Block::ToolCall {
            name: call.name.clone(),
            by_provider: call.by_provider,
            arguments: self.words(&pretty(&call.arguments), place, false),
            result,
        }
    }

    pub(super) fn words_block(&mut self, text: &str, place: &Place) -> Block {
        Block::Words(self.words(text, place, false))
    }

    fn words(&mut self, text: &str, place: &Place, markdown: bool) -> Words {
        let most = FIRST.min(self.words_left.max(LEAST));
        let cut = if text.len() <= most + most / 4 { text.len() } else { floor(text, most) };
        self.words_left = self.words_left.saturating_sub(cut);
        let body = if markdown { markdown::render(&text[..cut]) } else { text[..cut].to_owned() };
        let rest = (cut < text.len()).then(|| Rest {
            url: format!("/exchanges/{}/text?at={place}&from={cut}", self.id),
            left: format::bytes((text.len() - cut) as u64),
        });
        Words { body, is_html: markdown, rest }
    }

    fn media(&mut self, kind: &'static str, media: &dialects::Media, place: &Place) -> Media {
        let mut about: Vec<String> = Vec::new();
        about.extend(media.name.as_ref().map(|name| shortened(name, 80)));
        about.extend(media.media_type.as_ref().map(|name| shortened(name, 60)));
        if let Some(data) = &media.data {
            about.push(format::bytes(data.len() as u64 * 3 / 4));
        }
        about.extend(media.file_id.as_ref().map(|id| shortened(id, 80)));
        let address = media.url.as_deref().filter(|url| !url.starts_with("data:"));
        let inline = data_url(media);
        let is_picture = inline.as_deref().is_some_and(markdown::is_inline_image);
        let size = inline.as_ref().map_or(0, String::len);
        let now = is_picture && size <= PICTURE && size <= self.pictures_left;
        if now {
            self.pictures_left -= size;
        }
        let sound = inline.clone().filter(|url| is_sound(url) && size <= PICTURE);
        Media {
            kind,
            about: about.join(" · "),
            show: (is_picture && !now).then(|| format!("/exchanges/{}/picture?at={place}", self.id)),
            picture: inline.filter(|_| now),
            sound,
            is_web: address.is_some_and(|url| url.starts_with("https://") || url.starts_with("http://")),
            address: address.map(|url| shortened(url, 400)),
        }
    }
}

/// A picture or sound that is in the exchange itself, as a `data:` URL.
pub(crate) fn data_url(media: &dialects::Media) -> Option<String> {
    if let Some(url) = media.url.as_deref().filter(|url| url.starts_with("data:")) {
        return Some(url.to_owned());
    }
    let data = media.data.as_deref()?;
    let kind = media.media_type.as_deref()?.split(';').next()?.trim().to_ascii_lowercase();
    let known =
        kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'+' | b'.'));
    known.then(|| format!("data:{kind};base64,{data}"))
}

fn is_sound(url: &str) -> bool {
    ["mpeg", "mp3", "wav", "x-wav", "ogg", "opus", "aac", "flac", "mp4", "webm"].iter().any(|kind| {
        url.strip_prefix("data:audio/")
            .and_then(|rest| rest.strip_prefix(kind))
            .and_then(|rest| rest.strip_prefix(";base64,"))
            .is_some_and(|data| {
                data.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
            })
    })
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most).chain(['…']).collect()
}

/// Titles of what is cited, with their addresses where these lead to the web.
fn citations(citations: &[dialects::Citation]) -> Vec<(String, Option<String>)> {
    let shown = citations.iter().take(40).map(|citation| {
        let address =
            citation.url.as_deref().filter(|url| url.starts_with("https://") || url.starts_with("http://"));
        let title = [citation.title.as_deref(), citation.url.as_deref(), citation.quote.as_deref()]
            .into_iter()
            .flatten()
            .find(|title| !title.trim().is_empty());
        (shortened(title.unwrap_or("?"), 120), address.map(str::to_owned))
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::EN;

    fn media(url: Option<&str>, data: Option<&str>, kind: Option<&str>) -> Media {
        let media = dialects::Media {
            media_type: kind.map(str::to_owned),
            url: url.map(str::to_owned),
            data: data.map(str::to_owned),
            ..dialects::Media::default()
        };
        Builder::new("id", &EN).media("Image", &media, &Place::message(0).part(0))
    }

    #[test]
    fn a_long_text_is_cut_at_a_character_and_the_rest_can_be_had() {
        let mut builder = Builder::new("id", &EN);
        let text = "界".repeat(100_000);
        let words = builder.words(&text, &Place::message(2).part(1), false);
        assert!(words.body.len() <= FIRST && words.body.chars().all(|letter| letter == '界'));
        let rest = words.rest.unwrap();
        assert_eq!(rest.url, format!("/exchanges/id/text?at=m2.1&from={}", words.body.len()));
    }

    #[test]
    fn a_page_of_many_long_texts_stays_small() {
        let mut builder = Builder::new("id", &EN);
        let text = "x".repeat(50_000);
        let total: usize =
            (0..1_000).map(|at| builder.words(&text, &Place::message(at).part(0), false).body.len()).sum();
        assert!(total < PAGE + 1_000 * (LEAST + LEAST / 4), "{total}");
    }

    #[test]
    fn only_pictures_that_are_in_the_exchange_are_shown() {
        assert!(media(None, Some("iVBORw0KGgo="), Some("image/png")).picture.is_some());
        assert!(media(Some("data:image/png;base64,iVBORw0KGgo="), None, None).picture.is_some());
        let remote = media(Some("https://evil.example/x.png"), None, None);
        assert!(remote.picture.is_none() && remote.is_web);
        for (url, data, kind) in [
            (None, Some("PHN2Zz4="), Some("image/svg+xml")),
            (None, Some("\"><script>"), Some("image/png")),
            (None, Some("AAAA"), Some("text/html")),
            (Some("data:text/html,<script>alert(1)</script>"), None, None),
            (Some("javascript:alert(1)"), None, Some("image/png")),
        ] {
            let media = media(url, data, kind);
            assert!(media.picture.is_none() && media.show.is_none() && media.sound.is_none(), "{media:?}");
            assert!(!media.is_web);
        }
    }

    #[test]
    fn a_large_picture_waits_until_it_is_asked_for() {
        let large = "A".repeat(PICTURE + 4);
        let media = media(None, Some(&large), Some("image/png"));
        assert!(media.picture.is_none());
        assert_eq!(media.show.as_deref(), Some("/exchanges/id/picture?at=m0.0"));
    }
}
