//! Where in a text the words of a query stand, and the text around them.

use std::ops::Range;

use verbatim_core::ports::Snippet;

use crate::needle::Needle;
use crate::words::{Kind, Token, tokens};

/// The longest snippet, in characters.
const LONGEST: usize = 240;

/// How many of them may stand before the first mark.
const BEFORE: usize = 60;

/// The snippet of one field; `None` where nothing of what is wanted stands in it.
pub fn snippet(field: &'static str, text: &str, wanted: &[Needle]) -> Option<Snippet> {
    let marks = marks(text, wanted);
    let first = marks.first()?;
    let start = start_of(text, first.start);
    let end = text[start..].char_indices().nth(LONGEST).map_or(text.len(), |(length, _)| start + length);
    let marks = marks
        .iter()
        .take_while(|mark| mark.start < end)
        .map(|mark| mark.start - start..mark.end.min(end) - start)
        .collect();
    Some(Snippet { field, text: text[start..end].to_owned(), marks })
}

/// Where a snippet begins whose first mark begins at `mark`: at a word, if one begins near enough.
fn start_of(text: &str, mark: usize) -> usize {
    let Some((earliest, _)) = text[..mark].char_indices().rev().take(BEFORE).last() else { return mark };
    if earliest == 0 {
        return 0;
    }
    let space = text[earliest..mark].char_indices().find(|(_, letter)| letter.is_whitespace());
    space.map_or(earliest, |(offset, space)| earliest + offset + space.len_utf8())
}

/// Every place where one of the needles stands: rising, not overlapping.
fn marks(text: &str, wanted: &[Needle]) -> Vec<Range<usize>> {
    let cut = CutText::of(text);
    let mut found: Vec<_> = wanted.iter().flat_map(|needle| cut.find(needle)).collect();
    found.sort_unstable_by_key(|mark| (mark.start, mark.end));
    let mut marks: Vec<Range<usize>> = Vec::new();
    for mark in found {
        match marks.last_mut() {
            Some(last) if mark.start <= last.end => last.end = last.end.max(mark.end),
            _ => marks.push(mark),
        }
    }
    marks
}

/// A text cut into its tokens, for needles to be looked for in.
pub struct CutText {
    words: Haystack,
    /// The pieces of camel-case words, apart from the words.
    pieces: Haystack,
}

impl CutText {
    /// Cuts a text.
    pub fn of(text: &str) -> Self {
        let (mut words, mut pieces) = (Haystack::default(), Haystack::default());
        tokens(text, |token| if token.kind == Kind::Piece { pieces.add(&token) } else { words.add(&token) });
        Self { words, pieces }
    }

    /// Whether a needle stands in it.
    pub fn has(&self, needle: &Needle) -> bool {
        self.find(needle).next().is_some()
    }

    fn find<'a>(&'a self, needle: &'a Needle) -> impl Iterator<Item = Range<usize>> + 'a {
        self.words.find(needle).chain(self.pieces.find(needle))
    }
}

/// Tokens side by side in one string.
#[derive(Default)]
struct Haystack {
    folded: String,
    tokens: Vec<Place>,
}

struct Place {
    folded: Range<usize>,
    at: Range<usize>,
    head_end: usize,
    kind: Kind,
}

impl Haystack {
    fn add(&mut self, token: &Token<'_>) {
        let start = self.folded.len();
        self.folded.push_str(token.folded);
        self.tokens.push(Place {
            folded: start..self.folded.len(),
            at: token.at.clone(),
            head_end: token.head_end,
            kind: token.kind,
        });
    }

    fn find<'a>(&'a self, needle: &'a Needle) -> impl Iterator<Item = Range<usize>> + 'a {
        self.tokens.windows(needle.tokens.len().max(1)).filter_map(|window| self.found(window, needle))
    }

    /// Where a needle stands, if these tokens are it.
    fn found(&self, window: &[Place], needle: &Needle) -> Option<Range<usize>> {
        let ((last, first), (end, start)) = (needle.tokens.split_last()?, window.split_last()?);
        let folded = |place: &Place| &self.folded[place.folded.clone()];
        let ends = if needle.prefix { folded(end).starts_with(last) } else { folded(end) == last };
        if !ends || !start.iter().map(folded).eq(first.iter().map(String::as_str)) {
            return None;
        }
        // Of a pair that only begins so, the second character was not asked for.
        let only_head = needle.prefix && end.kind == Kind::Pair;
        Some(start.first().unwrap_or(end).at.start..if only_head { end.head_end } else { end.at.end })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use verbatim_core::model::Timestamp;
    use verbatim_core::model::query::parse;

    use super::*;
    use crate::needle::Needles;

    fn shown(text: &str, query: &str) -> String {
        let needles = Needles::of(&parse(query, Timestamp::default()).unwrap());
        let Some(snippet) = snippet("asked", text, &needles.wanted) else { return String::new() };
        let mut shown = String::new();
        let mut last = 0;
        for mark in snippet.marks {
            shown += &snippet.text[last..mark.start];
            shown += &format!("[{}]", &snippet.text[mark.clone()]);
            last = mark.end;
        }
        shown + &snippet.text[last..]
    }

    #[test]
    fn words_are_marked_without_regard_to_case_and_diacritics() {
        assert_eq!(shown("The Café, the cafe.", "CAFÉ"), "The [Café], the [cafe].");
        assert_eq!(shown("nothing here", "else"), "");
        assert_eq!(shown("run gpt-4o-mini now", "gpt-4o-mini"), "run [gpt-4o-mini] now");
        assert_eq!(shown("call getWeather now", "weather"), "call get[Weather] now");
    }

    #[test]
    fn characters_are_marked_as_far_as_asked_for() {
        assert_eq!(shown("今天天气预报很好", "天气"), "今天[天气]预报很好");
        assert_eq!(shown("今天天气预报很好", "天气预报"), "今天[天气预报]很好");
        assert_eq!(shown("今天天气", "天"), "今[天天]气");
        assert_eq!(shown("한국어를 배워요", "한국"), "[한국]어를 배워요");
        assert_eq!(shown("用GPT写诗", "GPT写"), "用[GPT写]诗");
    }

    #[test]
    fn a_long_text_is_cut_around_the_first_mark() {
        let text = format!("{} needle {}", "before ".repeat(100), "after ".repeat(100));
        let shown = shown(&text, "needle");
        assert!(shown.starts_with("before "), "{shown}");
        assert!(shown.contains("[needle]"));
        assert!(shown.chars().count() <= LONGEST + 2);
        let chinese = "字".repeat(1000) + "针" + &"字".repeat(1000);
        let needles = Needles::of(&parse("针", Timestamp::default()).unwrap());
        let snippet = snippet("asked", &chinese, &needles.wanted).unwrap();
        assert_eq!(snippet.text.chars().count(), LONGEST);
        assert_eq!(snippet.marks.first(), Some(&(60 * 3..61 * 3)));
    }

    #[test]
    fn a_needle_stands_side_by_side_or_not_at_all() {
        let has = |text: &str, query: &str| {
            let needles = Needles::of(&parse(query, Timestamp::default()).unwrap());
            needles.wanted.iter().all(|needle| CutText::of(text).has(needle))
        };
        assert!(has("Quick, BROWN fox", "\"quick brown\""));
        assert!(!has("brown quick", "\"quick brown\""));
        assert!(!has("", "\"quick brown\""));
        assert!(has("我用GPT写诗", "用GPT写"));
        assert!(has("getUserName", "\"user name\""));
    }

    proptest! {
        #[test]
        fn marks_are_ranges_of_the_snippet(text in "[a-c 天气か\u{3099}é🙂]{0,60}", word in "[a-c天气かé]{1,3}") {
            let needles = Needles::of(&parse(&word, Timestamp::default()).unwrap());
            if let Some(snippet) = snippet("asked", &text, &needles.wanted) {
                prop_assert!(!snippet.marks.is_empty());
                let mut last = 0;
                for mark in snippet.marks {
                    prop_assert!(mark.start >= last && mark.start < mark.end);
                    prop_assert!(snippet.text.get(mark.clone()).is_some());
                    last = mark.end;
                }
            }
        }
    }
}
