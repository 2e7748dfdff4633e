//! Words as Meilisearch is given them, in documents and in queries.
//!
//! Text is cut into tokens here ([`verbatim_search_text`]), and each is spelt in ASCII letters and digits. So
//! Meilisearch has nothing to guess: it splits at spaces, whatever the language and whichever tokenizers it was built
//! with, and a word of two Chinese, Japanese or Korean characters is a word like any other.
//!
//! A document has each of its words once, in the order of the alphabet. Where a word stands is not told: Meilisearch
//! would keep of each two words near one another how near they are, which took half of its time and seven tenths of its
//! disk (1.50), and still not know a phrase of three words for certain. Nor is a document given a word for each two that
//! are neighbours, hashed to 12 bits: phrases would be narrowed down, but documents of 1 KB + 1 KB took twice the
//! processor and twice the disk (1.50), whatever is searched.

use std::borrow::Cow;

use verbatim_core::model::SearchDocument;
use verbatim_search_text::{Kind, Needle, Needles, columns, tokens};

/// Begins a token that is not ASCII; its characters follow, four digits to the base 36 each.
const SPELT: &str = "0u";

/// Begins the token of a single character of text without spaces, of those that a document holds anywhere.
const CHARACTER: &str = "0c";

/// The longest token in bytes; what is longer is found by its beginning. Meilisearch passes over words above 250 bytes.
const LONGEST: usize = 240;

/// The most words in one attribute. Meilisearch passes over those behind the 65,535th.
const MOST_IN_ATTRIBUTE: usize = 60_000;

/// The most words of a query that Meilisearch looks at.
const MOST_WANTED: usize = 10;

/// The most exclusions that it is asked for: it reads a thousand tokens of a query, and spaces and quotes count.
const MOST_EXCLUDED: usize = 20;

/// A token as Meilisearch is given it.
fn spelt(token: &str) -> Cow<'_, str> {
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

fn character(letter: char) -> String {
    with_character(CHARACTER.to_owned(), letter)
}

/// The words of a document, as many in one text as an attribute takes.
pub(crate) fn words(document: &SearchDocument) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let fields = document.fields().into_iter().map(|(_, text)| text);
    for text in fields.chain(columns(&document.exchange)) {
        tokens(text, |token| {
            words.push(spelt(token.folded).into_owned());
            if matches!(token.kind, Kind::Pair | Kind::Last) {
                words.extend(token.folded.chars().next().map(character));
            }
        });
    }
    words.sort_unstable();
    words.dedup();
    words.chunks(MOST_IN_ATTRIBUTE).map(|words| words.join(" ")).collect()
}

/// What Meilisearch is asked for, and what it can't tell for certain.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) q: String,
    /// Each has to stand in a document that it finds.
    pub(crate) wanted: Vec<Needle>,
    /// None of these may.
    pub(crate) excluded: Vec<Needle>,
}

/// The query for some needles. Every word is quoted: Meilisearch then finds it as it stands, neither longer nor split
/// nor misspelt. Only a last word that need only begin so stands open, at the end.
pub(crate) fn asked(needles: &Needles) -> Asked {
    let mut asked = Asked::default();
    let mut terms: Vec<String> = Vec::new();
    for needle in &needles.excluded {
        match sure(needle).filter(|_| terms.len() < MOST_EXCLUDED) {
            Some(word) => terms.push(format!("-\"{word}\"")),
            None => asked.excluded.push(needle.clone()),
        }
    }
    let mut wanted = Vec::new();
    let mut open = None;
    for needle in &needles.wanted {
        if let Some(word) = sure(needle).filter(|_| wanted.len() < MOST_WANTED - 1) {
            wanted.push(word);
            continue;
        }
        asked.wanted.push(needle.clone());
        let (whole, beginning) = candidates(needle);
        wanted.extend(whole);
        open = open.or(beginning);
    }
    wanted.truncate(MOST_WANTED - usize::from(open.is_some()));
    terms.extend(wanted.into_iter().map(|word| format!("\"{word}\"")));
    terms.extend(open);
    asked.q = terms.join(" ");
    asked
}

/// The word that finds a needle and nothing else, if one does.
fn sure(needle: &Needle) -> Option<String> {
    match (needle.tokens.as_slice(), needle.prefix) {
        ([single], false) => Some(spelt(single).into_owned()),
        ([single], true) => only_character(single),
        _ => None,
    }
}

/// Words that are in every document with this needle, and what one of its words begins with.
fn candidates(needle: &Needle) -> (Vec<String>, Option<String>) {
    let mut words: Vec<String> = needle.tokens.iter().map(|token| spelt(token).into_owned()).collect();
    let Some(last) = needle.tokens.last().filter(|_| needle.prefix) else { return (words, None) };
    let beginning = words.pop();
    match only_character(last) {
        Some(character) => {
            words.push(character);
            (words, None)
        }
        None => (words, beginning),
    }
}

fn only_character(token: &str) -> Option<String> {
    let mut letters = token.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => Some(character(letter)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use verbatim_core::model::Timestamp;
    use verbatim_core::model::query::parse;
    use verbatim_testkit::ExchangeBuilder;

    use super::*;

    fn needles(query: &str) -> Needles {
        Needles::of(&parse(query, Timestamp::default()).unwrap())
    }

    fn shown(needles: &[Needle]) -> Vec<String> {
        needles.iter().map(|needle| needle.tokens.join(" ")).collect()
    }

    #[test]
    fn words_are_quoted_and_phrases_looked_at_again() {
        let asked = asked(&needles("Hello \"big world\" gpt-4o"));
        assert_eq!(asked.q, r#""hello" "big" "world" "gpt" "4o""#);
        assert_eq!(shown(&asked.wanted), ["big world", "gpt 4o"]);
        assert!(asked.excluded.is_empty());
    }

    #[test]
    fn what_is_excluded_comes_first_and_only_if_it_is_sure() {
        let asked = asked(&needles("a -b -\"c d\""));
        assert_eq!(asked.q, r#"-"b" "a""#);
        assert_eq!(shown(&asked.excluded), ["c d"]);
    }

    #[test]
    fn text_without_spaces_is_spelt_in_letters() {
        assert_eq!(spelt("天气"), "0u0hm10lck");
        assert_eq!(asked(&needles("天气")).q, r#""0u0hm10lck""#);
        assert_eq!(asked(&needles("天")).q, r#""0c0hm1""#);
        let mixed = asked(&needles("用GPT写"));
        assert_eq!(mixed.q, format!(r#""{}" "gpt" "{}""#, spelt("用"), character('写')));
        assert_eq!(shown(&mixed.wanted), ["用 gpt 写"]);
    }

    #[test]
    fn an_unfinished_word_stands_open_at_the_end() {
        let mut needles = needles("forecast -x sun-weath");
        needles.unfinished().unwrap().prefix = true;
        let asked = asked(&needles);
        assert_eq!(asked.q, r#"-"x" "forecast" "sun" weath"#);
        assert!(asked.wanted[0].prefix);
    }

    #[test]
    fn words_that_meilisearch_would_pass_over_are_looked_for_here() {
        let many: Vec<_> = (0..30).map(|n| format!("w{n}")).collect();
        let asked_for = asked(&needles(&many.join(" ")));
        assert_eq!(asked_for.q.matches('"').count(), 2 * MOST_WANTED);
        assert_eq!(asked_for.wanted.len(), 30 - (MOST_WANTED - 1));
        let excluded: Vec<_> = (0..30).map(|n| format!("-w{n}")).collect();
        assert_eq!(asked(&needles(&excluded.join(" "))).excluded.len(), 30 - MOST_EXCLUDED);
        let long = asked(&needles(&format!("\"{}\" end", "字".repeat(1000))));
        assert!(long.q.len() < 200 && long.wanted.len() == 2);
    }

    #[test]
    fn documents_have_each_word_once() {
        let document = ExchangeBuilder::minted().document("call getWeather call", "天天");
        let words = words(&document);
        let expected =
            "0c0hm1 0u0hm1 0u0hm10hm1 11 20 2024 4o call chat completions get getweather gpt v1 weather";
        assert_eq!(words, [expected]);
    }

    #[test]
    fn more_words_than_an_attribute_takes_are_in_two() {
        let many = |from: u32| (from..from + 10_900).map(|n| format!("{n:x} ")).collect::<String>();
        let document = SearchDocument {
            reasoning: many(0x2_0000),
            tools: many(0x3_0000),
            system: many(0x4_0000),
            error: many(0x5_0000),
            ..ExchangeBuilder::minted().document(&many(0x6_0000), &many(0x7_0000))
        };
        let words = words(&document);
        assert_eq!(words.len(), 2);
        assert_eq!(words[0].split(' ').count(), MOST_IN_ATTRIBUTE);
    }

    proptest! {
        #[test]
        fn a_query_holds_only_words_and_quotes(text in "\\PC{0,60}") {
            let Ok(query) = parse(&text, Timestamp::default()) else { return Ok(()) };
            let mut needles = Needles::of(&query);
            if let Some(last) = needles.unfinished() {
                last.prefix = true;
            }
            let asked = asked(&needles);
            let known = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "\" -".contains(letter);
            prop_assert!(asked.q.chars().all(known), "{}", asked.q);
            prop_assert_eq!(asked.q.matches('"').count() % 2, 0);
        }

        #[test]
        fn what_a_document_says_is_asked_for(before in "[a-z天气か ]{0,10}", found in "[a-zé天气か]{1,8}") {
            let words = words(&ExchangeBuilder::minted().document(&format!("{before} {found}"), ""));
            let asked = asked(&needles(&format!("\"{found}\"")));
            for word in asked.q.split('"').skip(1).step_by(2) {
                prop_assert!(words[0].split(' ').any(|stored| stored == word), "{word} in {words:?}");
            }
        }
    }
}
