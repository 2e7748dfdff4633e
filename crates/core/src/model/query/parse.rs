//! Reads a query as typed.

use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use super::super::{Dialect, ExchangeId, Outcome, Timestamp};
use super::keyword::{Keyword, closest};
use super::scan::{Content, Item, Scanner, Value};
use super::value::{self, Moment, Scale};
use super::{Condition, Field, Filter, Pattern, Query, TextTerm};

/// A query that can't be read, and where it goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// The spot, as a range of bytes of the input, on character boundaries.
    pub at: Range<usize>,
    /// What was expected and what came.
    pub message: String,
}

impl QueryError {
    pub(super) fn new(at: Range<usize>, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// How many words, phrases and values a query may hold: a backend has to look at each.
const MOST_PARTS: usize = 100;

/// Reads a query. `now` is what relative times (`after:2h`, `after:today`) are counted from.
///
/// # Errors
/// [`QueryError`]: an unknown field, a value that is not of its field's kind, a quote that is not closed, more than
/// a hundred parts or a thousand characters in one.
pub fn parse(input: &str, now: Timestamp) -> Result<Query, QueryError> {
    let mut query = Query::default();
    let mut scanner = Scanner::new(input);
    let mut parts = 0usize;
    while let Some(item) = scanner.next()? {
        let Item { excluded, at, content } = item;
        parts += match &content {
            Content::Condition { values, .. } => values.len(),
            Content::Word(_) | Content::Phrase(_) => 1,
        };
        if parts > MOST_PARTS {
            let message = format!("expected at most {MOST_PARTS} words and values in a query");
            return Err(QueryError::new(at, message));
        }
        match content {
            Content::Word(text) => query.text.push(TextTerm { text, phrase: false, excluded }),
            Content::Phrase(text) => query.text.push(TextTerm { text, phrase: true, excluded }),
            Content::Condition { keyword: Keyword::In, values } => {
                everywhere(&values, excluded, at)?;
                query.everywhere = true;
            }
            Content::Condition { keyword: Keyword::Has, values } => {
                let field = has(&only(Keyword::Has, values)?)?;
                query.filters.push(Filter { field, condition: Condition::Is(true), excluded });
            }
            Content::Condition { keyword: keyword @ (Keyword::After | Keyword::Before), values } => {
                let condition = time(keyword, &only(keyword, values)?, now)?;
                query.filters.push(Filter { field: Field::Began, condition, excluded });
            }
            Content::Condition { keyword: Keyword::Column(field), values } => {
                let condition = condition(field, values, now)?;
                query.filters.push(Filter { field, condition, excluded });
            }
        }
    }
    Ok(query)
}

fn everywhere(values: &[Value], excluded: bool, at: Range<usize>) -> Result<(), QueryError> {
    match values {
        [all] if !excluded && all.text().eq_ignore_ascii_case("all") => Ok(()),
        _ => Err(QueryError::new(at, "expected `in:all`, which looks through whole bodies")),
    }
}

fn condition(field: Field, values: Vec<Value>, now: Timestamp) -> Result<Condition, QueryError> {
    let keyword = Keyword::Column(field);
    Ok(match field {
        Field::Model
        | Field::Provider
        | Field::App
        | Field::Project
        | Field::Key
        | Field::Owner
        | Field::Session
        | Field::Tag
        | Field::Method
        | Field::Path
        | Field::Error => {
            Condition::Matches(values.into_iter().map(|value| Pattern { runs: value.runs }).collect())
        }
        Field::Outcome => Condition::Outcomes(words(&values, Outcome::ALL, Outcome::as_str)?),
        Field::Dialect => Condition::Dialects(words(&values, Dialect::ALL, Dialect::as_str)?),
        Field::Status => number(&only(keyword, values)?, &value::STATUS)?,
        Field::Tokens => number(&only(keyword, values)?, &value::TOKENS)?,
        Field::Cost => number(&only(keyword, values)?, &value::COST)?,
        Field::Duration => {
            let value = only(keyword, values)?;
            if value::is_single(&value.text()) {
                let message = "expected a comparison or a range, such as duration:>2s or duration:1s..5s, as nothing \
                               takes exactly so long";
                return Err(QueryError::new(value.at, message));
            }
            number(&value, &value::DURATION)?
        }
        Field::Began => time(keyword, &only(keyword, values)?, now)?,
        Field::Stream => Condition::Is(truth(&only(keyword, values)?)?),
        Field::Id => {
            let value = only(keyword, values)?;
            let id = ExchangeId::from_str(&value.text());
            Condition::Id(id.map_err(|error| QueryError::new(value.at, error.to_string()))?)
        }
        // Reached through `has:` only.
        Field::HasTool | Field::HasError => Condition::Is(true),
    })
}

fn only(keyword: Keyword, mut values: Vec<Value>) -> Result<Value, QueryError> {
    match (values.pop(), values.first()) {
        (Some(value), None) => Ok(value),
        (last, first) => {
            let start = first.map_or(0, |value| value.at.start);
            let end = last.map_or(start, |value| value.at.end);
            let message = format!("expected one value behind `{}:`, not a list", keyword.name());
            Err(QueryError::new(start..end, message))
        }
    }
}

fn has(value: &Value) -> Result<Field, QueryError> {
    match value.text().to_ascii_lowercase().as_str() {
        "tool" | "tools" => Ok(Field::HasTool),
        "error" | "errors" => Ok(Field::HasError),
        _ => Err(QueryError::new(value.at.clone(), "expected `has:tool` or `has:error`")),
    }
}

fn truth(value: &Value) -> Result<bool, QueryError> {
    match value.text().to_ascii_lowercase().as_str() {
        "true" | "yes" => Ok(true),
        "false" | "no" => Ok(false),
        _ => Err(QueryError::new(value.at.clone(), "expected `true` or `false`")),
    }
}

fn words<T: Copy>(values: &[Value], all: &[T], name: fn(T) -> &'static str) -> Result<Vec<T>, QueryError> {
    let word = |value: &Value| {
        let typed = value.text().to_ascii_lowercase();
        if let Some(found) = all.iter().find(|known| name(**known) == typed) {
            return Ok(*found);
        }
        let known = all.iter().map(|known| name(*known));
        let message = match closest(&typed, known.clone()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("expected one of {}", known.collect::<Vec<_>>().join(", ")),
        };
        Err(QueryError::new(value.at.clone(), message))
    };
    values.iter().map(word).collect()
}

fn number(value: &Value, scale: &Scale) -> Result<Condition, QueryError> {
    match value::bounds(&value.text(), scale) {
        Ok((min, max)) => Ok(Condition::Number { min, max }),
        Err(message) => Err(QueryError::new(value.at.clone(), message)),
    }
}

fn time(keyword: Keyword, value: &Value, now: Timestamp) -> Result<Condition, QueryError> {
    let text = value.text();
    let fail = |message: String| QueryError::new(value.at.clone(), message);
    let moment = |text: &str| -> Result<Moment, QueryError> {
        value::moment(text, now).ok_or_else(|| {
            fail(format!("expected {}, got `{}`", value::MOMENT, super::print::shortened(text)))
        })
    };
    let microsecond = Duration::from_micros(1);
    match (keyword, text.split_once("..")) {
        (Keyword::After, _) => Ok(Condition::Time { from: Some(moment(&text)?.first), to: None }),
        (Keyword::Before, _) => {
            Ok(Condition::Time { from: None, to: Some(moment(&text)?.first.minus(microsecond)) })
        }
        (_, Some((from, to))) => {
            let (from, to) = (moment(from)?.first, moment(to)?.last);
            if from > to {
                return Err(fail("nothing lies in this range: it ends before it begins".to_owned()));
            }
            Ok(Condition::Time { from: Some(from), to: Some(to) })
        }
        (_, None) => match moment(&text)? {
            Moment { first, last, day: true } => Ok(Condition::Time { from: Some(first), to: Some(last) }),
            _ => Err(fail(
                "expected a day or a range such as 2026-11-20..2026-11-23; use after: or before:".to_owned(),
            )),
        },
    }
}

#[cfg(test)]
mod tests;
