//! What a query looks for, as FTS5 wants it.

use verbatim_search_text::{Needle, Needles};

use crate::NOWHERE_ELSE;
use crate::facets::Split;

/// The needles and the filters that are tokens, as one expression; `None` where nothing is to be looked up. Every token
/// is quoted, and holds neither quotes nor anything else that FTS5 knows.
pub(crate) fn expression(needles: &Needles, filters: &Split) -> Option<String> {
    let any = |tokens: &Vec<String>| format!("({})", join(tokens.iter().map(|token| quoted(token)), " OR "));
    let mut wanted: Vec<_> = needles.wanted.iter().map(of_needle).collect();
    wanted.extend(filters.wanted.iter().map(any));
    let mut excluded: Vec<_> = needles.excluded.iter().map(of_needle).collect();
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

/// One needle: a phrase, the last token of which may be a beginning.
pub(crate) fn of_needle(needle: &Needle) -> String {
    quoted(&needle.tokens.join(" ")) + if needle.prefix { " *" } else { "" }
}

fn join(parts: impl IntoIterator<Item = String>, by: &str) -> String {
    parts.into_iter().collect::<Vec<_>>().join(by)
}

fn quoted(tokens: &str) -> String {
    format!("\"{tokens}\"")
}

#[cfg(test)]
mod tests {
    use verbatim_core::model::Timestamp;
    use verbatim_core::model::query::parse;

    use super::*;

    fn of(query: &str) -> String {
        expression(&Needles::of(&parse(query, Timestamp::default()).unwrap()), &Split::default()).unwrap()
    }

    #[test]
    fn words_become_phrases_of_tokens() {
        assert_eq!(of("Hello gpt-4o-mini"), r#""hello" AND "gpt 4o mini""#);
        assert_eq!(
            of("天气预报 天 用GPT写 中文API"),
            r#""天气 气预 预报" AND "天" * AND "用 gpt 写" * AND "中文 文 api""#
        );
    }

    #[test]
    fn what_is_excluded_is_taken_from_what_is_wanted_or_from_all() {
        assert_eq!(of("a -b -\"c d\""), r#"("a") NOT ("b" OR "c d")"#);
        assert_eq!(of("-b"), format!(r#"("{NOWHERE_ELSE}") NOT ("b")"#));
    }

    #[test]
    fn filters_that_are_tokens_are_looked_up_with_the_words() {
        let filters = Split {
            wanted: vec![vec!["m1".to_owned(), "m2".to_owned()]],
            excluded: vec!["x".to_owned()],
            rest: Vec::new(),
        };
        let needles = Needles::of(&parse("a", Timestamp::default()).unwrap());
        assert_eq!(expression(&needles, &filters).unwrap(), r#"("a" AND ("m1" OR "m2")) NOT ("x")"#);
    }

    #[test]
    fn signs_of_the_index_language_are_only_text() {
        assert_eq!(
            of(r#"NEAR(a* OR "b\" ^c" AND -(d)"#),
            r#"("near a" AND "or" AND "b c" AND "and") NOT ("d")"#
        );
    }

    #[test]
    fn words_without_letters_are_passed_over_unless_there_are_no_others() {
        assert_eq!(of("a - 🙂"), r#""a""#);
        let needles = Needles::of(&parse("🙂", Timestamp::default()).unwrap());
        assert!(needles.hopeless);
        assert_eq!(expression(&needles, &Split::default()), None);
    }
}
