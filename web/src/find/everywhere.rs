//! `in:all`: looks through whole bodies, newest first, so far and no further in one go.

use std::time::{Duration, Instant};

use memchr::memmem;
use verbatim_core::model::query::{Field, Filter, TextTerm};
use verbatim_core::model::{Exchange, ExchangeHeads, ExchangeId};
use verbatim_core::ports::{ListRequest, PortResult, Snippet};

use super::{Ask, Found, FoundItem, Notice, Where};
use crate::error::floor;
use crate::reading;
use crate::stores::Stores;

/// Where a query names no time, it looks back so far.
const LOOK_BACK: Duration = Duration::from_secs(24 * 3600);
/// What whoever asks is told then.
pub(crate) const LOOKS_BACK: &str =
    "`in:all` without a time looks through the last 24 hours: add `after:` to look further back";
/// Exchanges that are read for one answer.
const EXCHANGES: usize = 2_000;
/// Body bytes that are read for one answer.
const BYTES: u64 = 256 * 1024 * 1024;
/// How long one answer may take.
const TIME: Duration = Duration::from_secs(8);
/// Text shown to each side of what was found, in bytes.
const AROUND: usize = 80;

pub(super) async fn scan(stores: &Stores, ask: &Ask) -> PortResult<Found> {
    let mut notices = Vec::new();
    let mut filters = ask.query.filters.clone();
    if ask.is_cut_short() {
        let from = stores.clock.now().minus(LOOK_BACK);
        filters.push(Filter {
            field: Field::Began,
            condition: verbatim_core::model::query::Condition::Time { from: Some(from), to: None },
            excluded: false,
        });
        notices.push(Notice { code: "scan_limited", message: LOOKS_BACK.to_owned() });
    }
    let started = Instant::now();
    let needles: Vec<Needle> = ask.query.text.iter().map(Needle::new).collect();
    let (mut items, mut before, mut seen, mut bytes) = (Vec::new(), ask.before, 0, 0);
    let mut skip = ask.skip;
    loop {
        let request = ListRequest { filters: filters.clone(), before, limit: 100, ..ListRequest::default() };
        let page = stores.archive.list(request).await?;
        for exchange in page.exchanges {
            let id = exchange.id;
            before = Some(id);
            seen += 1;
            bytes += exchange.request_bytes + exchange.response_bytes;
            if let Some(snippets) = look_into(stores, &exchange, &needles).await? {
                if skip > 0 {
                    skip -= 1;
                } else {
                    items.push(FoundItem { exchange, snippets });
                }
            }
            if items.len() >= ask.limit {
                return Ok(found(items, Some(id), notices));
            }
            if seen >= EXCHANGES || bytes >= BYTES || started.elapsed() >= TIME {
                notices.push(Notice {
                    code: "scan_limited",
                    message: format!(
                        "looked through the bodies of {seen} exchanges, back to {}: go on to look further back",
                        exchange_time(id)
                    ),
                });
                return Ok(found(items, Some(id), notices));
            }
        }
        if !page.more {
            return Ok(found(items, None, notices));
        }
    }
}

fn exchange_time(id: ExchangeId) -> String {
    id.time().to_string()
}

fn found(items: Vec<FoundItem>, next: Option<ExchangeId>, notices: Vec<Notice>) -> Found {
    Found { items, next, total: None, answered_by: Where::Bodies, notices }
}

/// Where every term stands in an exchange's bodies; `None` unless all terms hold.
async fn look_into(
    stores: &Stores,
    exchange: &Exchange,
    needles: &[Needle],
) -> PortResult<Option<Vec<Snippet>>> {
    let Some((_, heads)) = stores.archive.get(exchange.id).await? else { return Ok(None) };
    let bodies = match reading::bodies(stores, exchange.id).await {
        Ok(bodies) => bodies,
        // A damaged body does not end the search for others.
        Err(error) if !error.is_transient() => return Ok(None),
        Err(error) => return Err(error),
    };
    let exchange = exchange.clone();
    let needles = needles.to_vec();
    let permit = stores.readings.acquire().await;
    let looked = tokio::task::spawn_blocking(move || search(&exchange, &heads, &bodies, &needles)).await;
    drop(permit);
    Ok(looked.unwrap_or_default())
}

fn search(
    exchange: &Exchange,
    heads: &ExchangeHeads,
    bodies: &reading::Bodies,
    needles: &[Needle],
) -> Option<Vec<Snippet>> {
    // Bytes as they travelled, and the folded answer: a word may be split over the frames of a stream.
    let reading = reading::read(exchange, heads, bodies);
    let texts = [
        ("request", reading::plain(&heads.request.headers, bodies.request())),
        ("response", reading::plain(heads.response_headers(), bodies.response())),
        ("answered", verbatim_dialects::text::answered(&reading).into_bytes().into()),
    ];
    let lowered: Vec<Vec<u8>> = texts.iter().map(|(_, text)| lowercase(text)).collect();
    let mut snippets: Vec<Snippet> = Vec::new();
    for needle in needles {
        let place = lowered.iter().enumerate().find_map(|(at, text)| Some((at, needle.find(text)?)));
        match (place, needle.excluded) {
            (Some(_), true) | (None, false) => return None,
            (None, true) => {}
            (Some((at, (start, length))), false) => {
                let (field, _) = texts[at];
                if !snippets.iter().any(|snippet| snippet.field == field) {
                    snippets.push(snippet(field, &lowered[at], &texts[at].1, start, length));
                }
            }
        }
    }
    Some(snippets)
}

/// ASCII letters in lower case; everything else, and every length, as it is.
fn lowercase(text: &[u8]) -> Vec<u8> {
    text.to_ascii_lowercase()
}

fn snippet(field: &'static str, lowered: &[u8], text: &[u8], start: usize, length: usize) -> Snippet {
    debug_assert_eq!(lowered.len(), text.len());
    let from = start.saturating_sub(AROUND);
    let to = (start + length + AROUND).min(text.len());
    let (before, hit, after) = (&text[from..start], &text[start..start + length], &text[start + length..to]);
    let before = String::from_utf8_lossy(before).trim_start_matches('\u{fffd}').to_owned();
    let hit = String::from_utf8_lossy(hit).into_owned();
    let after = String::from_utf8_lossy(after).trim_end_matches('\u{fffd}').to_owned();
    let marks = std::iter::once(before.len()..before.len() + hit.len()).collect();
    let text = format!("{before}{hit}{after}");
    let end = floor(&text, text.len());
    Snippet { field, text: text[..end].to_owned(), marks }
}

/// A term in every form in which a body may hold it.
#[derive(Debug, Clone)]
struct Needle {
    forms: Vec<Vec<u8>>,
    excluded: bool,
}

impl Needle {
    fn new(term: &TextTerm) -> Self {
        let text = term.text.to_ascii_lowercase();
        let mut forms = vec![text.clone().into_bytes()];
        for escaped in [json_escaped(&text, true), json_escaped(&text, false)] {
            if !forms.contains(&escaped.clone().into_bytes()) {
                forms.push(escaped.into_bytes());
            }
        }
        Self { forms, excluded: term.excluded }
    }

    /// Where it stands first, and how long it is there.
    fn find(&self, text: &[u8]) -> Option<(usize, usize)> {
        self.forms.iter().find_map(|form| Some((memmem::find(text, form)?, form.len())))
    }
}

/// As JSON writes it, in lower case; many programs write `\u5929` for what is not ASCII.
fn json_escaped(text: &str, ascii_only: bool) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            letter if ascii_only && !letter.is_ascii() => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needle(text: &str) -> Needle {
        Needle::new(&TextTerm { text: text.to_owned(), phrase: true, excluded: false })
    }

    #[test]
    fn a_term_is_found_in_every_form_json_may_give_it() {
        let text = lowercase(r#"{"content":"\u5929\u6C14 SAYS \"hi\" \ud83d\ude00"}"#.as_bytes());
        assert!(needle("天气").find(&text).is_some());
        assert!(needle("says \"HI\"").find(&text).is_some());
        assert!(needle("😀").find(&text).is_some());
        assert!(needle("天器").find(&text).is_none());
    }

    #[test]
    fn a_snippet_marks_what_was_found_and_never_cuts_a_character() {
        let text = format!("{}天气{}", "界".repeat(90), "界".repeat(90));
        let (start, length) = needle("天气").find(text.as_bytes()).unwrap();
        let snippet = snippet("request", text.as_bytes(), text.as_bytes(), start, length);
        assert_eq!(&snippet.text[snippet.marks[0].clone()], "天气");
        assert!(!snippet.text.contains('\u{fffd}'));
    }
}
