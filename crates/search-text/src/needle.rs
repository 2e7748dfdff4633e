//! What a query looks for.

use verbatim_core::model::query::{Query, TextTerm};

use crate::words::{Kind, tokens};

/// One word or phrase: tokens side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needle {
    /// What must stand side by side; never empty.
    pub tokens: Vec<String>,
    /// Whether the last token need only begin so.
    pub prefix: bool,
    /// Whether it may be a word that is still being typed.
    unfinished: bool,
}

/// What a query wants found and what not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needles {
    /// All of these must be there.
    pub wanted: Vec<Needle>,
    /// None of these may be there.
    pub excluded: Vec<Needle>,
    /// Words are wanted, but none has a letter or digit: nothing can be found.
    pub hopeless: bool,
}

/// Letters that the beginning of a word must have to stand for it.
const SHORTEST_BEGINNING: usize = 3;

impl Needles {
    /// The words of a query. Those without a letter or digit are passed over.
    pub fn of(query: &Query) -> Self {
        let mut needles = Self::default();
        for term in &query.text {
            let into = if term.excluded { &mut needles.excluded } else { &mut needles.wanted };
            into.extend(needle(term));
        }
        needles.hopeless = needles.wanted.is_empty() && query.text.iter().any(|term| !term.excluded);
        needles
    }

    /// The word at the end, if it may still be in the making: looked for as a beginning where it is nowhere a word.
    pub fn unfinished(&mut self) -> Option<&mut Needle> {
        self.wanted.last_mut().filter(|needle| needle.unfinished)
    }
}

fn needle(term: &TextTerm) -> Option<Needle> {
    let mut found: Vec<(Kind, String)> = Vec::new();
    tokens(&term.text, |token| {
        if token.kind != Kind::Piece {
            found.push((token.kind, token.folded.to_owned()));
        }
    });
    // A run of characters may go on where the query's ends: its last character stands at the beginning of a pair, or
    // is in the pair before it already.
    let mut prefix = false;
    match found.as_slice() {
        [.., (Kind::Pair, _), (Kind::Last, _)] => {
            found.pop();
        }
        [.., (Kind::Last, _)] => prefix = true,
        _ => {}
    }
    let unfinished = !term.phrase
        && found.last().is_some_and(|(kind, last)| {
            *kind == Kind::Word && last.chars().nth(SHORTEST_BEGINNING - 1).is_some()
        });
    let tokens: Vec<_> = found.into_iter().map(|(_, token)| token).collect();
    (!tokens.is_empty()).then_some(Needle { tokens, prefix, unfinished })
}

#[cfg(test)]
mod tests {
    use verbatim_core::model::Timestamp;
    use verbatim_core::model::query::parse;

    use super::*;

    fn wanted(query: &str) -> Vec<String> {
        let needles = Needles::of(&parse(query, Timestamp::default()).unwrap());
        let shown = |needle: Needle| needle.tokens.join(" ") + if needle.prefix { "*" } else { "" };
        needles.wanted.into_iter().map(shown).collect()
    }

    #[test]
    fn words_become_phrases_of_tokens() {
        assert_eq!(wanted("Hello gpt-4o-mini"), ["hello", "gpt 4o mini"]);
        assert_eq!(
            wanted("天气预报 天 用GPT写 中文API"),
            ["天气 气预 预报", "天*", "用 gpt 写*", "中文 文 api"]
        );
    }

    #[test]
    fn words_without_letters_are_passed_over_unless_there_are_no_others() {
        assert_eq!(wanted("a - 🙂"), ["a"]);
        assert!(Needles::of(&parse("🙂", Timestamp::default()).unwrap()).hopeless);
        assert!(!Needles::of(&parse("-🙂", Timestamp::default()).unwrap()).hopeless);
    }

    #[test]
    fn only_a_word_of_some_length_at_the_end_may_be_unfinished() {
        for (query, expected) in
            [("weath", true), ("we", false), ("\"weath\"", false), ("weath 天气", false), ("天", false)]
        {
            let mut needles = Needles::of(&parse(query, Timestamp::default()).unwrap());
            assert_eq!(needles.unfinished().is_some(), expected, "{query}");
        }
    }
}
