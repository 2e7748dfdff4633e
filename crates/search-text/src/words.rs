//! Cuts text into the tokens that the index holds, the same way for documents, queries and highlights.
//!
//! - A word is a run of letters and digits: lower-cased, without diacritics, full-width letters as their plain
//!   equals. So `gpt-4o-mini` is three words side by side, and found as a phrase.
//! - The pieces of a camel-case word (`getWeather`) are tokens too, beside the word itself.
//! - Text without spaces between words (Chinese, Japanese, Thai, ...; Korean too, whose words take endings) becomes
//!   overlapping pairs of characters, and the last character of each run once more alone: so that any part of a run
//!   is found as a phrase of pairs, and a single character as the beginning of a pair.

use std::ops::Range;

use unicode_normalization::char::{compose, decompose_compatible, is_combining_mark};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A word.
    Word,
    /// Two characters of a run without spaces.
    Pair,
    /// The last character of such a run.
    Last,
    /// A piece of the camel-case word before it; stands in no order with the others.
    Piece,
}

/// A token and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// As the index holds it: letters, digits and marks only.
    pub folded: &'a str,
    /// Bytes of the text.
    pub at: Range<usize>,
    /// Where the first of a pair's two characters ends; for others where the token ends.
    pub head_end: usize,
}

/// Characters of a word that count; what is longer (a hash, an image in base64) is found by its beginning.
const LONGEST_WORD: usize = 64;

/// Camel-case words have at most so many bytes, and pieces of three letters on average: random letters have neither.
const LONGEST_CAMEL: usize = 48;

/// Hands every token of `text` to `each`, in order.
pub fn tokens(text: &str, mut each: impl FnMut(Token<'_>)) {
    let mut folded = String::new();
    let mut start = 0;
    while let Some(letter) = text[start..].chars().next() {
        let class = class(letter);
        let end = match class {
            Class::Space | Class::Mark => start + letter.len_utf8(),
            Class::Word | Class::Unspaced => end_of_run(text, start, class),
        };
        match class {
            Class::Space | Class::Mark => {}
            Class::Word => word(text, start..end, &mut folded, &mut each),
            Class::Unspaced => unspaced(text, start..end, &mut folded, &mut each),
        }
        start = end;
    }
}

/// Where the run of one class ends that begins at `start`, marks included.
fn end_of_run(text: &str, start: usize, of: Class) -> usize {
    let mut end = start;
    loop {
        if of == Class::Word {
            // Most text is ASCII: by bytes.
            end += text.as_bytes()[end..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        }
        match text[end..].chars().next() {
            Some(letter) if class(letter) == of || class(letter) == Class::Mark => end += letter.len_utf8(),
            _ => return end,
        }
    }
}

fn word(text: &str, at: Range<usize>, folded: &mut String, each: &mut impl FnMut(Token<'_>)) {
    fold(&text[at.clone()], folded);
    if folded.is_empty() {
        return;
    }
    each(Token { kind: Kind::Word, folded, at: at.clone(), head_end: at.end });
    if at.len() > LONGEST_CAMEL || !text[at.clone()].bytes().any(|byte| byte.is_ascii_uppercase()) {
        return;
    }
    let pieces = pieces(&text[at.clone()]);
    if pieces.len() < 2 || pieces.len() * 3 > at.len() {
        return;
    }
    for piece in pieces {
        let at = at.start + piece.start..at.start + piece.end;
        fold(&text[at.clone()], folded);
        if !folded.is_empty() {
            each(Token { kind: Kind::Piece, folded, at: at.clone(), head_end: at.end });
        }
    }
}

/// Cuts `getHTTPServer` into `get`, `HTTP` and `Server`.
fn pieces(word: &str) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let letters: Vec<_> = word.char_indices().collect();
    for window in letters.windows(2) {
        let [(at, first), (next, second)] = window else { continue };
        if first.is_lowercase() && second.is_uppercase() {
            pieces.push(start..*next);
            start = *next;
        } else if first.is_uppercase() && second.is_lowercase() && *at > start {
            pieces.push(start..*at);
            start = *at;
        }
    }
    pieces.push(start..word.len());
    pieces
}

fn unspaced(text: &str, at: Range<usize>, folded: &mut String, each: &mut impl FnMut(Token<'_>)) {
    let mut run = text[at.clone()].char_indices().peekable();
    let mut before: Option<(char, Range<usize>)> = None;
    while let Some((offset, letter)) = run.next() {
        let mut character = unspaced_form(letter);
        // A voicing mark, or the parts of a Korean syllable, that were typed as characters of their own.
        while let Some(joined) = run.peek().and_then(|(_, next)| compose(character, unspaced_form(*next))) {
            character = joined;
            run.next();
        }
        let start = at.start + offset;
        let end = at.start + run.peek().map_or(at.len(), |(next, _)| *next);
        if let Some((first, first_at)) = before.replace((character, start..end)) {
            folded.clear();
            folded.extend([first, character]);
            each(Token { kind: Kind::Pair, folded, at: first_at.start..end, head_end: first_at.end });
        }
    }
    if let Some((last, at)) = before {
        folded.clear();
        folded.push(last);
        each(Token { kind: Kind::Last, folded, at: at.clone(), head_end: at.end });
    }
}

/// Half-width kana and Hangul and doubled ideographs as their usual equals.
fn unspaced_form(letter: char) -> char {
    if !matches!(letter, '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ffdc}' | '\u{2f800}'..='\u{2fa1f}') {
        return letter;
    }
    let mut form = None;
    decompose_compatible(letter, |part| {
        form.get_or_insert(part);
    });
    form.unwrap_or(letter)
}

/// Writes a word as the index holds it.
fn fold(word: &str, folded: &mut String) {
    folded.clear();
    if word.is_ascii() {
        folded.push_str(&word[..word.len().min(LONGEST_WORD)]);
        folded.make_ascii_lowercase();
        return;
    }
    let mut count = 0;
    for letter in word.chars() {
        if count >= LONGEST_WORD {
            return;
        }
        decompose_compatible(letter, |part| {
            for lower in part.to_lowercase() {
                let lower = if lower == 'ς' { 'σ' } else { lower };
                let diacritic = matches!(lower, '\u{300}'..='\u{36f}');
                if !diacritic && (lower.is_alphanumeric() || is_combining_mark(lower)) {
                    folded.push(lower);
                    count += 1;
                }
            }
        });
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Stands between words.
    Space,
    Word,
    Unspaced,
    /// Belongs to the character before it.
    Mark,
}

fn class(letter: char) -> Class {
    if letter.is_ascii() {
        return if letter.is_ascii_alphanumeric() { Class::Word } else { Class::Space };
    }
    match letter {
        // Han with its iteration marks, kana, bopomofo, Hangul; half-width forms.
        '\u{3005}'..='\u{3007}'
        | '\u{3021}'..='\u{3029}'
        | '\u{303b}'
        | '\u{3041}'..='\u{309f}'
        | '\u{30a1}'..='\u{30fa}'
        | '\u{30fc}'..='\u{30ff}'
        | '\u{3105}'..='\u{312f}'
        | '\u{3131}'..='\u{318e}'
        | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{1100}'..='\u{11ff}'
        | '\u{a960}'..='\u{a97f}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{d7b0}'..='\u{d7ff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9f}'
        | '\u{ffa1}'..='\u{ffdc}'
        | '\u{20000}'..='\u{3ffff}' => Class::Unspaced,
        // Thai and Lao without their currency sign and digits, Burmese, Khmer.
        '\u{0e01}'..='\u{0e3a}'
        | '\u{0e40}'..='\u{0e4e}'
        | '\u{0e81}'..='\u{0ece}'
        | '\u{1000}'..='\u{103f}'
        | '\u{1050}'..='\u{108f}'
        | '\u{1780}'..='\u{17d3}' => Class::Unspaced,
        _ if is_combining_mark(letter) => Class::Mark,
        _ if letter.is_alphanumeric() => Class::Word,
        _ => Class::Space,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(text: &str) -> String {
        let mut all = Vec::new();
        tokens(text, |token| {
            let piece = if token.kind == Kind::Piece { "." } else { "" };
            all.push(format!("{piece}{}", token.folded));
        });
        all.join(" ")
    }

    #[test]
    fn words_are_lower_case_and_without_diacritics() {
        assert_eq!(cut("Héllo, WÖRLD! Ａ１ Ελλάς İ"), "hello world a1 ελλασ i");
        assert_eq!(cut("cafe\u{301} naïve"), "cafe naive");
    }

    #[test]
    fn identifiers_fall_into_their_pieces() {
        assert_eq!(cut("gpt-4o-mini get_weather 3.14"), "gpt 4o mini get weather 3 14");
        assert_eq!(
            cut("getWeather HTTPServer GPT iPhone"),
            "getweather .get .weather httpserver .http .server gpt iphone .i .phone"
        );
        assert_eq!(cut("aGVsbG8gd29ybGQhIQ"), "agvsbg8gd29ybgqhiq", "random letters have no pieces");
    }

    #[test]
    fn text_without_spaces_becomes_pairs() {
        assert_eq!(cut("天气预报"), "天气 气预 预报 报");
        assert_eq!(cut("东京タワー。字"), "东京 京タ タワ ワー ー 字");
        assert_eq!(cut("한국어 좋아"), "한국 국어 어 좋아 아");
        assert_eq!(cut("用GPT写"), "用 gpt 写");
    }

    #[test]
    fn composed_and_half_width_forms_are_equal() {
        assert_eq!(cut("か\u{3099}く"), cut("がく"));
        assert_eq!(cut("ﾊﾞﾅﾅ"), cut("バナナ"));
        assert_eq!(cut("\u{1112}\u{1161}\u{11ab}국"), cut("한국"));
    }

    #[test]
    fn what_is_no_text_has_no_tokens() {
        assert_eq!(cut("- 🙂 \" * ( ) : ^ \0 ·"), "");
    }

    #[test]
    fn a_long_word_is_found_by_its_beginning() {
        assert_eq!(cut(&"x".repeat(500)).len(), LONGEST_WORD);
        assert_eq!(cut(&"я".repeat(500)).chars().count(), LONGEST_WORD);
    }

    proptest! {
        #[test]
        fn tokens_stand_in_the_text_in_order_and_hold_nothing_that_a_query_could_mistake(text in "\\PC{0,40}") {
            let mut last = 0;
            tokens(&text, |token| {
                assert!(text.get(token.at.clone()).is_some_and(|text| !text.is_empty()));
                assert!(text.get(token.at.start..token.head_end).is_some_and(|text| !text.is_empty()));
                assert!(token.at.start >= last || token.kind == Kind::Piece);
                last = token.at.start;
                assert!(!token.folded.is_empty());
                assert!(!token.folded.contains(|letter: char| letter.is_ascii() && !letter.is_ascii_alphanumeric()));
            });
        }

        #[test]
        fn folding_twice_changes_nothing(text in "[a-zA-Zéßöñ中文가か ]{0,20}") {
            let once = cut(&text).replace('.', "");
            let words: Vec<_> = once.split(' ').filter(|word| word.is_ascii()).collect();
            prop_assert_eq!(cut(&words.join(" ")), words.join(" "));
        }
    }
}
