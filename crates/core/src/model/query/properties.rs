//! What must hold of every input and every tree.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{Dialect, ExchangeId, Outcome, Timestamp};
use super::{Condition, Field, Filter, Pattern, Query, TextTerm, parse};

const NOW: Timestamp = Timestamp::from_unix_ms(1_795_300_000_123);

/// Letters that mean something somewhere, and some that don't.
const LETTERS: &str = "[-a-c:\"\\\\*,“”：，－ \t=<>.0-9漢é]{0,12}";

fn text() -> impl Strategy<Value = String> {
    LETTERS.prop_filter("not blank", |text: &String| !text.trim().is_empty())
}

/// Only what can be typed without quotes is a word; the rest is a phrase.
fn term() -> impl Strategy<Value = TextTerm> {
    prop_oneof![
        (text(), any::<bool>()).prop_map(|(text, excluded)| TextTerm { text, phrase: true, excluded }),
        ("[a-c漢é.*\"]{0,8}[a-c漢é-]", any::<bool>())
            .prop_filter("bare", |(text, _)| !text.starts_with(['"', '-']) || text == "-")
            .prop_map(|(text, excluded)| TextTerm { text, phrase: false, excluded }),
    ]
}

fn pattern() -> impl Strategy<Value = Pattern> {
    vec(LETTERS, 1..4)
        .prop_filter("not empty", |runs| runs.len() > 1 || !runs[0].is_empty())
        .prop_map(|runs| Pattern { runs })
}

fn filter() -> impl Strategy<Value = Filter> {
    let texts = [
        Field::Model,
        Field::Provider,
        Field::App,
        Field::Project,
        Field::Key,
        Field::Owner,
        Field::Session,
        Field::Tag,
        Field::Method,
        Field::Path,
        Field::Error,
    ];
    let numbers = [Field::Status, Field::Tokens, Field::Cost, Field::Duration];
    let number = prop_oneof![0..10_000u64, any::<u64>()];
    let bounds = (number, 0..=u64::MAX, 0..3u8).prop_map(|(min, more, which)| match which {
        0 => (Some(min), None),
        1 => (None, Some(min)),
        _ => (Some(min), Some(min.saturating_add(more))),
    });
    let micros = -62_000_000_000_000_000..200_000_000_000_000_000i64;
    let times = (micros, 0..10_000_000_000i64, 0..3u8).prop_map(|(from, more, which)| {
        let (from, to) = (Timestamp::from_unix_us(from), Timestamp::from_unix_us(from + more));
        match which {
            0 => (Some(from), None),
            1 => (None, Some(to)),
            _ => (Some(from), Some(to)),
        }
    });
    let is = |fields: &'static [Field]| proptest::sample::select(fields);
    let condition = prop_oneof![
        4 => (proptest::sample::select(texts.to_vec()), vec(pattern(), 1..4))
            .prop_map(|(field, patterns)| (field, Condition::Matches(patterns))),
        2 => (proptest::sample::select(numbers.to_vec()), bounds)
            .prop_map(|(field, (min, max))| (field, Condition::Number { min, max })),
        2 => times.prop_map(|(from, to)| (Field::Began, Condition::Time { from, to })),
        1 => vec(proptest::sample::select(Outcome::ALL), 1..4)
            .prop_map(|outcomes| (Field::Outcome, Condition::Outcomes(outcomes))),
        1 => vec(proptest::sample::select(Dialect::ALL), 1..4)
            .prop_map(|dialects| (Field::Dialect, Condition::Dialects(dialects))),
        1 => is(&[Field::HasTool, Field::HasError]).prop_map(|field| (field, Condition::Is(true))),
        1 => any::<bool>().prop_map(|yes| (Field::Stream, Condition::Is(yes))),
        1 => (0..1i64 << 47)
            .prop_map(|ms| (Field::Id, Condition::Id(ExchangeId::lowest_at(Timestamp::from_unix_ms(ms))))),
    ];
    (condition, any::<bool>()).prop_map(|((field, condition), excluded)| Filter {
        field,
        condition,
        excluded,
    })
}

fn query() -> impl Strategy<Value = Query> {
    (vec(term(), 0..5), vec(filter(), 0..5), any::<bool>()).prop_map(|(text, filters, everywhere)| Query {
        text,
        filters,
        everywhere,
    })
}

/// Inputs that look like queries, so that most reach past the first letter.
fn input() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        LETTERS,
        "(model|status|cost|duration|after|before|began|has|in|id|x)[:：][-a-c0-9.<>=$*,smhdx\"]{0,8}",
        ".{0,6}",
    ];
    vec(piece, 0..6).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_query_reads_back_as_it_is_shown(query in query()) {
        prop_assert_eq!(parse(&query.to_string(), NOW), Ok(query.clone()), "{}", query);
    }

    #[test]
    fn every_input_is_read_or_refused_at_a_spot_inside_it(input in input()) {
        match parse(&input, NOW) {
            Ok(query) => prop_assert_eq!(parse(&query.to_string(), NOW), Ok(query.clone()), "{}", query),
            Err(error) => {
                prop_assert!(!error.message.is_empty());
                prop_assert!(!error.at.is_empty(), "{:?}", error);
                prop_assert!(input.get(error.at.clone()).is_some(), "{:?}", error);
            }
        }
    }

    #[test]
    fn any_text_at_all_is_found_as_a_phrase_once_it_is_shown_quoted(text in ".{1,40}", excluded: bool) {
        prop_assume!(!text.trim().is_empty());
        let term = TextTerm { text, phrase: true, excluded };
        prop_assert_eq!(parse(&term.to_string(), NOW).map(|query| query.text), Ok(vec![term]));
    }
}
