//! Words as Meilisearch is given them, in documents and in queries.
//!
//! Text is cut into tokens here ([`verbatim_search_text`]), and each is spelt in ASCII letters and digits. So
//! Meilisearch has nothing to guess: it splits at spaces, whatever the language and whichever tokenizers it was built
//! with, and a word of two Chinese, Japanese or Korean characters is a word like any other.

use std::borrow::Cow;
use std::fmt::Write;

use verbatim_search_text::{Kind, Needle, Needles, columns, tokens};

use crate::document::Words;
use verbatim_core::model::SearchDocument;

/// Begins a token that is not ASCII; its characters follow, four digits to the base 36 each.
const SPELT: &str = "0u";

/// Begins the token of a single character of text without spaces, of those that a document holds anywhere.
const CHARACTER: &str = "0c";

/// The longest token in bytes; what is longer is found by its beginning. Meilisearch passes over words above 250 bytes.
const LONGEST: usize = 240;

/// The most words of a query that Meilisearch looks at: ten, of which a phrase is one.
const MOST_WANTED: usize = 10;

/// The most exclusions that it is asked for: it reads a thousand tokens of a query, and spaces and quotes count.
const MOST_EXCLUDED: usize = 20;

/// The most words of one phrase that it is asked for.
const LONGEST_PHRASE: usize = 12;

/// A token as Meilisearch is given it.
pub(crate) fn spelt(token: &str) -> Cow<'_, str> {
    if token.is_ascii() {
        return Cow::Borrowed(&token[..token.len().min(LONGEST)]);
    }
    Cow::Owned(token.chars().fold(SPELT.to_owned(), with_character))
}

fn with_character(mut spelt: String, letter: char) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    if spelt.len() + 4 <= LONGEST {
        let code = u32::from(letter) as usize;
        spelt.extend([36 * 36 * 36, 36 * 36, 36, 1].map(|worth| char::from(DIGITS[code / worth % 36])));
    }
    spelt
}

fn character(letter: &str) -> String {
    letter.chars().take(1).fold(CHARACTER.to_owned(), with_character)
}

/// The words of a document, each text apart from the others.
pub(crate) fn words(document: &SearchDocument) -> Words {
    let mut pieces = String::new();
    let mut characters = std::collections::BTreeSet::new();
    let mut cut = |text: &str| {
        let mut words = String::with_capacity(text.len());
        tokens(text, |token| {
            let into = if token.kind == Kind::Piece { &mut pieces } else { &mut words };
            if !into.is_empty() {
                into.push(' ');
            }
            into.push_str(&spelt(token.folded));
            if matches!(token.kind, Kind::Pair | Kind::Last) {
                characters.extend(token.folded.chars().next());
            }
        });
        words
    };
    let fields = document.fields().map(|(_, text)| cut(text));
    let columns = columns(&document.exchange).map(cut).collect();
    let mut all = String::new();
    for letter in characters {
        // Writing to a string does not fail.
        let _ = write!(
            all,
            "{}{}",
            if all.is_empty() { "" } else { " " },
            character(letter.encode_utf8(&mut [0; 4]))
        );
    }
    Words { fields, columns, pieces, characters: all }
}

/// What Meilisearch is asked for, and what it can't tell for certain.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) q: String,
    /// Each has to stand in a document that it finds.
    pub(crate) wanted: Vec<Part>,
    /// None of these may.
    pub(crate) excluded: Vec<Part>,
}

/// Tokens side by side, as they are spelt, the last of them perhaps only a beginning.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    tokens: String,
    prefix: bool,
}

/// The query for some needles. Every word is quoted: Meilisearch then finds it as it stands, neither longer nor split
/// nor misspelt. Only a word that may be unfinished (`beginning`) stands open, at the end, where it finds what begins so.
pub(crate) fn asked(needles: &Needles, beginning: bool) -> Asked {
    let mut asked = Asked::default();
    let mut terms: Vec<String> = Vec::new();
    for needle in &needles.excluded {
        match sure(needle).filter(|_| terms.len() < MOST_EXCLUDED) {
            Some(term) => terms.push(format!("-\"{term}\"")),
            None => asked.excluded.push(Part::of(needle)),
        }
    }
    let excluded = terms.len();
    let (mut whole, mut last) = (needles.wanted.as_slice(), None);
    if beginning && let [before @ .., unfinished] = whole {
        (whole, last) = (before, Some(unfinished));
    }
    let room = excluded + MOST_WANTED - usize::from(last.is_some());
    for needle in whole {
        let sure = sure(needle);
        if sure.is_none() || terms.len() >= room {
            asked.wanted.push(Part::of(needle));
        }
        let candidates = sure.map_or_else(|| candidates(needle), |term| vec![term]);
        for term in candidates {
            if terms.len() < room {
                terms.push(format!("\"{term}\""));
            }
        }
    }
    if let Some(unfinished) = last {
        // Standing open, it might also be found as two words.
        asked.wanted.push(Part { prefix: true, ..Part::of(unfinished) });
        terms.push(spelt(&unfinished.tokens[unfinished.tokens.len() - 1]).into_owned());
        if let [before @ .., _] = unfinished.tokens.as_slice()
            && !before.is_empty()
            && terms.len() < room
        {
            terms.insert(excluded, format!("\"{}\"", phrase(before)));
        }
    }
    asked.q = terms.join(" ");
    asked
}

/// The term that finds a needle and nothing else; `None` where there is none. Meilisearch knows of two words whether they
/// stand side by side; of three and more only whether each two of them do.
fn sure(needle: &Needle) -> Option<String> {
    match (needle.tokens.as_slice(), needle.prefix) {
        ([_] | [_, _], false) => Some(phrase(&needle.tokens)),
        ([single], true) if single.chars().nth(1).is_none() => Some(character(single)),
        _ => None,
    }
}

/// Terms that find a needle, and perhaps more.
fn candidates(needle: &Needle) -> Vec<String> {
    match needle.tokens.as_slice() {
        [before @ .., last] if needle.prefix && !before.is_empty() => vec![phrase(before), character(last)],
        tokens => vec![phrase(tokens)],
    }
}

fn phrase(tokens: &[String]) -> String {
    tokens.iter().take(LONGEST_PHRASE).map(|token| spelt(token)).collect::<Vec<_>>().join(" ")
}

impl Part {
    fn of(needle: &Needle) -> Self {
        let tokens = needle.tokens.iter().map(|token| spelt(token)).collect::<Vec<_>>().join(" ");
        Self { tokens, prefix: needle.prefix }
    }

    /// Whether it stands in words of a document.
    pub(crate) fn stands_in(&self, words: &str) -> bool {
        words.match_indices(&self.tokens).any(|(start, found)| {
            let (before, behind) = (&words[..start], &words[start + found.len()..]);
            (before.is_empty() || before.ends_with(' '))
                && (self.prefix || behind.is_empty() || behind.starts_with(' '))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use verbatim_core::model::Timestamp;
    use verbatim_core::model::query::parse;
    use verbatim_testkit::ExchangeBuilder;

    use super::*;

    fn asked_for(query: &str) -> Asked {
        asked(&Needles::of(&parse(query, Timestamp::default()).unwrap()), false)
    }

    #[test]
    fn words_are_quoted_and_phrases_of_three_looked_at_again() {
        let asked = asked_for("Hello \"big world\" gpt-4o-mini");
        assert_eq!(asked.q, r#""hello" "big world" "gpt 4o mini""#);
        assert_eq!(asked.wanted, [Part { tokens: "gpt 4o mini".to_owned(), prefix: false }]);
        assert!(asked.excluded.is_empty());
    }

    #[test]
    fn what_is_excluded_comes_first_and_only_if_it_is_sure() {
        let asked = asked_for("a -b -\"c d\" -\"e f g\"");
        assert_eq!(asked.q, r#"-"b" -"c d" "a""#);
        assert_eq!(asked.excluded, [Part { tokens: "e f g".to_owned(), prefix: false }]);
    }

    #[test]
    fn text_without_spaces_is_spelt_in_letters() {
        assert_eq!(spelt("天气"), "0u0hm10lck");
        assert_eq!(asked_for("天气").q, r#""0u0hm10lck""#);
        assert_eq!(asked_for("天").q, r#""0c0hm1""#);
        let mixed = asked_for("用GPT写");
        assert_eq!(mixed.q, format!(r#""{} gpt" "{}""#, spelt("用"), character("写")));
        assert_eq!(
            mixed.wanted,
            [Part { tokens: format!("{} gpt {}", spelt("用"), spelt("写")), prefix: true }]
        );
    }

    #[test]
    fn an_unfinished_word_stands_open_at_the_end() {
        let needles = Needles::of(&parse("forecast -x sun-weath", Timestamp::default()).unwrap());
        let asked = asked(&needles, true);
        assert_eq!(asked.q, r#"-"x" "sun" "forecast" weath"#);
    }

    #[test]
    fn words_that_meilisearch_would_pass_over_are_looked_for_here() {
        let many: Vec<_> = (0..30).map(|n| format!("w{n}")).collect();
        let asked = asked_for(&many.join(" "));
        assert_eq!(asked.q.matches('"').count(), 2 * MOST_WANTED);
        assert_eq!(asked.wanted.len(), 20);
        let excluded: Vec<_> = (0..30).map(|n| format!("-w{n}")).collect();
        assert_eq!(asked_for(&excluded.join(" ")).excluded.len(), 10);
        let long = asked_for(&format!("\"{}\"", "字".repeat(1000)));
        assert!(long.q.len() < 200 && long.wanted.len() == 1);
    }

    #[test]
    fn parts_stand_between_spaces() {
        let part = |tokens: &str, prefix| Part { tokens: tokens.to_owned(), prefix };
        assert!(part("b c", false).stands_in("a b c"));
        assert!(!part("b c", false).stands_in("ab c"));
        assert!(!part("b c", false).stands_in("b cd"));
        assert!(part("b c", true).stands_in("b cd"));
        assert!(part("b", false).stands_in("bb b"));
    }

    #[test]
    fn documents_have_their_words_apart() {
        let document = ExchangeBuilder::minted().document("call getWeather", "今天天气");
        let words = words(&document);
        assert_eq!(words.fields[0], "call getweather");
        assert_eq!(words.pieces, "get weather");
        assert_eq!(words.columns, ["gpt 4o", "gpt 4o 2024 11 20", "v1 chat completions"]);
        assert_eq!(words.characters.split(' ').count(), 3);
        assert!(asked_for("气").q.contains(words.characters.split(' ').next_back().unwrap()));
    }

    proptest! {
        #[test]
        fn a_query_holds_only_words_and_quotes(text in "\\PC{0,60}") {
            let Ok(query) = parse(&text, Timestamp::default()) else { return Ok(()) };
            for beginning in [false, true] {
                let asked = asked(&Needles::of(&query), beginning);
                let known = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "\" -".contains(letter);
                prop_assert!(asked.q.chars().all(known), "{}", asked.q);
                prop_assert_eq!(asked.q.matches('"').count() % 2, 0);
            }
        }

        #[test]
        fn what_a_document_says_is_asked_for(before in "[a-z天气か ]{0,10}", found in "[a-zé天气か]{1,8}") {
            let text = format!("{before} {found}");
            let words = words(&ExchangeBuilder::minted().document(&text, ""));
            let asked = asked_for(&format!("\"{found}\""));
            let all = format!("{} {}", words.fields[0], words.characters);
            for term in asked.q.split('"').skip(1).step_by(2) {
                prop_assert!(Part { tokens: term.to_owned(), prefix: false }.stands_in(&all), "{term} in {all}");
            }
            for part in &asked.wanted {
                prop_assert!(part.stands_in(&words.fields[0]));
            }
        }
    }
}
