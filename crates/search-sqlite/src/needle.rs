//! The words of a query as the index can be asked for them.

use verbatim_core::model::query::{Query, TextTerm};

use crate::NOWHERE_ELSE;
use crate::facets::Split;
use crate::words::{Kind, tokens};

/// One word or phrase: tokens side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Needle {
    /// What must stand side by side; never empty.
    pub(crate) tokens: Vec<String>,
    /// Whether the last token need only begin so.
    pub(crate) prefix: bool,
    /// Whether it may be a word that is still being typed.
    unfinished: bool,
}

/// What a query wants found and what not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Needles {
    pub(crate) wanted: Vec<Needle>,
    pub(crate) excluded: Vec<Needle>,
    /// Words are wanted, but none has a letter or digit: nothing can be found.
    pub(crate) hopeless: bool,
}

/// Letters that the beginning of a word must have to stand for it.
const SHORTEST_BEGINNING: usize = 3;

impl Needles {
    /// The words of a query. Those without a letter or digit are passed over.
    pub(crate) fn of(query: &Query) -> Self {
        let mut needles = Self::default();
        for term in &query.text {
            let into = if term.excluded { &mut needles.excluded } else { &mut needles.wanted };
            into.extend(needle(term));
        }
        needles.hopeless = needles.wanted.is_empty() && query.text.iter().any(|term| !term.excluded);
        needles
    }

    /// The word at the end, if it may still be in the making: looked for as a beginning where it is nowhere a word.
    pub(crate) fn unfinished(&mut self) -> Option<&mut Needle> {
        self.wanted.last_mut().filter(|needle| needle.unfinished)
    }

    /// As FTS5 wants it, with the filters that are tokens; `None` where nothing is to be looked up. Every token is
    /// quoted, and holds neither quotes nor anything else that FTS5 knows.
    pub(crate) fn expression(&self, filters: &Split) -> Option<String> {
        let any =
            |tokens: &Vec<String>| format!("({})", join(tokens.iter().map(|token| quoted(token)), " OR "));
        let mut wanted: Vec<_> = self.wanted.iter().map(Needle::expression).collect();
        wanted.extend(filters.wanted.iter().map(any));
        let mut excluded: Vec<_> = self.excluded.iter().map(Needle::expression).collect();
        excluded.extend(filters.excluded.iter().map(|token| quoted(token)));
        if excluded.is_empty() {
            return (!wanted.is_empty()).then(|| join(wanted, " AND "));
        }
        if wanted.is_empty() {
            // What is excluded has to be taken from something: the token that every document has.
            wanted.push(quoted(NOWHERE_ELSE));
        }
        Some(format!("({}) NOT ({})", join(wanted, " AND "), join(excluded, " OR ")))
    }
}

fn join(parts: impl IntoIterator<Item = String>, by: &str) -> String {
    parts.into_iter().collect::<Vec<_>>().join(by)
}

impl Needle {
    pub(crate) fn expression(&self) -> String {
        quoted(&self.tokens.join(" ")) + if self.prefix { " *" } else { "" }
    }
}

fn quoted(tokens: &str) -> String {
    format!("\"{tokens}\"")
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

    fn expression(query: &str) -> String {
        Needles::of(&parse(query, Timestamp::default()).unwrap()).expression(&Split::default()).unwrap()
    }

    #[test]
    fn words_become_phrases_of_tokens() {
        assert_eq!(expression("Hello gpt-4o-mini"), r#""hello" AND "gpt 4o mini""#);
        assert_eq!(
            expression("天气预报 天 用GPT写 中文API"),
            r#""天气 气预 预报" AND "天" * AND "用 gpt 写" * AND "中文 文 api""#
        );
    }

    #[test]
    fn what_is_excluded_is_taken_from_what_is_wanted_or_from_all() {
        assert_eq!(expression("a -b -\"c d\""), r#"("a") NOT ("b" OR "c d")"#);
        assert_eq!(expression("-b"), format!(r#"("{NOWHERE_ELSE}") NOT ("b")"#));
    }

    #[test]
    fn filters_that_are_tokens_are_looked_up_with_the_words() {
        let filters = Split {
            wanted: vec![vec!["m1".to_owned(), "m2".to_owned()]],
            excluded: vec!["x".to_owned()],
            rest: Vec::new(),
        };
        let needles = Needles::of(&parse("a", Timestamp::default()).unwrap());
        assert_eq!(needles.expression(&filters).unwrap(), r#"("a" AND ("m1" OR "m2")) NOT ("x")"#);
    }

    #[test]
    fn signs_of_the_index_language_are_only_text() {
        assert_eq!(
            expression(r#"NEAR(a* OR "b\" ^c" AND -(d)"#),
            r#"("near a" AND "or" AND "b c" AND "and") NOT ("d")"#
        );
    }

    #[test]
    fn words_without_letters_are_passed_over_unless_there_are_no_others() {
        assert_eq!(expression("a - 🙂"), r#""a""#);
        let needles = Needles::of(&parse("🙂", Timestamp::default()).unwrap());
        assert!(needles.hopeless);
        assert_eq!(needles.expression(&Split::default()), None);
    }
}
