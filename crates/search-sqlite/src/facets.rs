//! Columns with few values as tokens, so that a filter on them is looked up like a word: FTS5 then steps over the rows
//! that lack it without looking at them.
//!
//! A facet's token begins with a private-use character that names its field and goes on with the value, in which every
//! ASCII character but letters and digits is replaced by a private-use one: no text has such a token, and no two values
//! share one. ASCII letters are folded by the tokenizer, as `COLLATE NOCASE` does. What a facet can't say (stars,
//! ranges, parts of a path) is left to SQL.

use verbatim_core::model::Exchange;
use verbatim_core::model::query::{Condition, Field, Filter};

/// Longer values have no token.
const LONGEST: usize = 256;

/// What filters come to.
#[derive(Debug, Default)]
pub(crate) struct Split {
    /// Of each, one of the tokens must be there.
    pub(crate) wanted: Vec<Vec<String>>,
    /// None of these may be there.
    pub(crate) excluded: Vec<String>,
    /// What only SQL can tell.
    pub(crate) rest: Vec<Filter>,
}

/// Splits filters into those that are tokens and the rest.
pub(crate) fn split(filters: &[Filter]) -> Split {
    let mut split = Split::default();
    for filter in filters {
        match tokens_of(filter.field, &filter.condition) {
            Some(tokens) if filter.excluded => split.excluded.extend(tokens),
            Some(tokens) => split.wanted.push(tokens),
            None => split.rest.push(filter.clone()),
        }
    }
    split
}

/// The tokens of which any fulfils a condition; `None` where tokens can't tell.
fn tokens_of(field: Field, condition: &Condition) -> Option<Vec<String>> {
    let tokens: Vec<String> = match (field, condition) {
        (_, Condition::Matches(patterns)) if marker(field).is_some() => {
            patterns.iter().map(|pattern| token(field, pattern.exact()?)).collect::<Option<_>>()?
        }
        (Field::Status, Condition::Number { min: Some(min), max: Some(max) }) if min == max => {
            vec![token(field, &min.to_string())?]
        }
        (Field::Status, Condition::Number { min: Some(min), max: Some(max) })
            if min % 100 == 0 && min.checked_add(99) == Some(*max) =>
        {
            vec![token(field, &class(*min))?]
        }
        (Field::Outcome, Condition::Outcomes(outcomes)) => {
            outcomes.iter().map(|outcome| token(field, outcome.as_str())).collect::<Option<_>>()?
        }
        (Field::Dialect, Condition::Dialects(dialects)) => {
            dialects.iter().map(|dialect| token(field, dialect.as_str())).collect::<Option<_>>()?
        }
        (Field::Stream, Condition::Is(yes)) => vec![token(field, if *yes { "true" } else { "false" })?],
        _ => return None,
    };
    (!tokens.is_empty()).then_some(tokens)
}

/// Every facet of an exchange, each behind a space.
pub(crate) fn of(exchange: &Exchange) -> String {
    let caller = &exchange.caller;
    let served =
        exchange.model_served.as_ref().filter(|served| exchange.model_asked.as_ref() != Some(served));
    let mut tokens = String::new();
    let mut add = |field, value: &str| {
        if let Some(token) = token(field, value) {
            tokens.push(' ');
            tokens.push_str(&token);
        }
    };
    for (field, value) in [
        (Field::Model, exchange.model_asked.as_ref()),
        (Field::Model, served),
        (Field::Provider, Some(&exchange.provider)),
        (Field::Method, Some(&exchange.method)),
        (Field::App, caller.app.as_ref()),
        (Field::Project, caller.project.as_ref()),
        (Field::Key, caller.key.as_ref()),
        (Field::Owner, caller.owner.as_ref()),
        (Field::Session, exchange.session.as_ref()),
    ] {
        if let Some(value) = value {
            add(field, value);
        }
    }
    for tag in &exchange.tags {
        add(Field::Tag, tag);
    }
    if let Some(status) = exchange.status.map(u64::from) {
        add(Field::Status, &status.to_string());
        add(Field::Status, &class(status));
    }
    add(Field::Outcome, exchange.outcome.as_str());
    add(Field::Dialect, exchange.dialect.as_str());
    add(Field::Stream, if exchange.streamed { "true" } else { "false" });
    tokens
}

/// `4xx`.
fn class(status: u64) -> String {
    format!("{}xx", status / 100)
}

fn token(field: Field, value: &str) -> Option<String> {
    let marker = marker(field)?;
    if value.is_empty() || value.len() > LONGEST || value.contains(is_private) {
        return None;
    }
    let plain = |letter: char| match u8::try_from(letter) {
        Ok(byte) if byte.is_ascii() && !byte.is_ascii_alphanumeric() => {
            char::from_u32(0xe200 + u32::from(byte)).unwrap_or(letter)
        }
        _ => letter,
    };
    Some(std::iter::once(marker).chain(value.chars().map(plain)).collect())
}

fn is_private(letter: char) -> bool {
    matches!(letter, '\u{e000}'..='\u{f8ff}')
}

/// The character that begins a field's tokens. Stable: files hold it.
fn marker(field: Field) -> Option<char> {
    Some(match field {
        Field::Model => '\u{e101}',
        Field::Provider => '\u{e102}',
        Field::Dialect => '\u{e103}',
        Field::Status => '\u{e104}',
        Field::Outcome => '\u{e105}',
        Field::App => '\u{e106}',
        Field::Project => '\u{e107}',
        Field::Key => '\u{e108}',
        Field::Owner => '\u{e109}',
        Field::Session => '\u{e10a}',
        Field::Tag => '\u{e10b}',
        Field::Method => '\u{e10c}',
        Field::Stream => '\u{e10d}',
        Field::Path
        | Field::Error
        | Field::Tokens
        | Field::Cost
        | Field::Duration
        | Field::Began
        | Field::HasTool
        | Field::HasError
        | Field::Id => return None,
    })
}

#[cfg(test)]
mod tests {
    use verbatim_core::model::Timestamp;
    use verbatim_core::model::query::parse;
    use verbatim_testkit::ExchangeBuilder;

    use super::*;

    fn split_of(query: &str) -> (usize, usize, usize) {
        let split = split(&parse(query, Timestamp::default()).unwrap().filters);
        (split.wanted.len(), split.excluded.len(), split.rest.len())
    }

    #[test]
    fn whole_values_are_tokens_and_the_rest_is_left_to_sql() {
        assert_eq!(split_of("model:gpt-4o,o3 status:4xx outcome:completed -app:x,y stream:true"), (4, 2, 0));
        assert_eq!(
            split_of("model:gpt* status:>400 path:/v1 error:x tokens:>1 has:tool after:2h"),
            (0, 0, 7)
        );
        assert_eq!(split_of("status:400..498 -status:404 app:\u{e000}"), (0, 1, 2));
    }

    #[test]
    fn the_tokens_of_an_exchange_are_those_that_filters_ask_for() {
        let exchange = ExchangeBuilder::minted()
            .with(|exchange| exchange.tags = vec!["Ünï code/1".to_owned()])
            .exchange();
        let have = of(&exchange).to_ascii_lowercase();
        let have: Vec<_> = have.split(' ').collect();
        for query in [
            "model:GPT-4o",
            "model:gpt-4o-2024-11-20",
            "tag:\"Ünï CODE/1\"",
            "status:200",
            "status:2xx",
            "method:post",
        ] {
            let wanted = split(&parse(query, Timestamp::default()).unwrap().filters).wanted;
            assert!(have.contains(&wanted[0][0].to_ascii_lowercase().as_str()), "{query}");
        }
    }

    #[test]
    fn tokens_hold_nothing_that_ends_one() {
        let every: String = (1u8..128).map(char::from).collect();
        let token = token(Field::Tag, &every).unwrap();
        assert!(!token.contains(|letter: char| letter.is_ascii() && !letter.is_ascii_alphanumeric()));
    }
}
