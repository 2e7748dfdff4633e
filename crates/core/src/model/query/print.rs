//! Shows a query in its own language, so that it reads back as the same tree. Terms that no query can hold unquoted
//! are shown in quotes.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::super::Timestamp;
use super::keyword::Keyword;
use super::scan::{is_comma, is_minus, is_quote};
use super::{Condition, Field, Filter, Pattern, Query, TextTerm};

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for term in &self.text {
            write!(f, "{between}{term}")?;
            between = " ";
        }
        for filter in &self.filters {
            write!(f, "{between}{filter}")?;
            between = " ";
        }
        if self.everywhere {
            write!(f, "{between}in:all")?;
        }
        Ok(())
    }
}

impl fmt::Display for TextTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.excluded {
            f.write_char('-')?;
        }
        if self.phrase || !reads_back_bare(&self.text, self.excluded) {
            write!(f, "\"{}\"", escaped(&self.text))
        } else {
            f.write_str(&self.text)
        }
    }
}

fn reads_back_bare(text: &str, excluded: bool) -> bool {
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return false };
    let lone = letters.next().is_none();
    let starts_well = !is_quote(first) && (excluded || lone || !is_minus(first));
    let is_condition = text.split_once('：').is_some_and(|(name, _)| Keyword::named(name).is_some());
    starts_well && !is_condition && !text.contains(|letter: char| letter == ':' || letter.is_whitespace())
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let negative =
            matches!((self.field, &self.condition), (Field::HasTool | Field::HasError, Condition::Is(false)));
        if self.excluded != negative {
            f.write_char('-')?;
        }
        let name = self.field.name();
        match &self.condition {
            Condition::Matches(patterns) => {
                write!(f, "{name}:")?;
                list(f, patterns, Pattern::fmt)
            }
            Condition::Outcomes(outcomes) => {
                write!(f, "{name}:")?;
                list(f, outcomes, |outcome, f| f.write_str(outcome.as_str()))
            }
            Condition::Dialects(dialects) => {
                write!(f, "{name}:")?;
                list(f, dialects, |dialect, f| f.write_str(dialect.as_str()))
            }
            Condition::Number { min, max } => {
                write!(f, "{name}:")?;
                self.numbers(f, *min, *max)
            }
            Condition::Time { from: Some(from), to: None } => write!(f, "after:{}", exact(*from)),
            Condition::Time { from: None, to: Some(to) } => {
                write!(f, "before:{}", exact(to.plus(Duration::from_micros(1))))
            }
            Condition::Time { from, to } => {
                let show = |time: Option<Timestamp>| time.map(exact).unwrap_or_default();
                write!(f, "began:{}..{}", show(*from), show(*to))
            }
            Condition::Is(yes) => match self.field {
                Field::HasTool | Field::HasError => write!(f, "has:{name}"),
                _ => write!(f, "{name}:{yes}"),
            },
            Condition::Id(id) => write!(f, "{name}:{id}"),
        }
    }
}

impl Filter {
    fn numbers(&self, f: &mut fmt::Formatter<'_>, min: Option<u64>, max: Option<u64>) -> fmt::Result {
        let (unit, scaled) = match self.field {
            Field::Cost => ("", true),
            Field::Duration => ("s", true),
            _ => ("", false),
        };
        let show = |number: u64| if scaled { millionths(number) + unit } else { number.to_string() };
        match (min, max) {
            (Some(min), Some(max)) if min == max && self.field != Field::Duration => f.write_str(&show(min)),
            (Some(min), None) => write!(f, ">={}", show(min)),
            (None, Some(max)) => write!(f, "<={}", show(max)),
            _ => {
                let show = |number: Option<u64>| number.map(show).unwrap_or_default();
                write!(f, "{}..{}", show(min), show(max))
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let special = |letter: char| letter.is_whitespace() || is_comma(letter) || letter == '*';
        let quoted = self.runs.iter().any(|run| run.contains(special))
            || self.runs.first().is_some_and(|run| run.starts_with(is_quote))
            || self.exact() == Some("");
        if quoted {
            let runs: Vec<_> = self.runs.iter().map(|run| escaped(run).replace('*', "\\*")).collect();
            write!(f, "\"{}\"", runs.join("*"))
        } else {
            f.write_str(&self.runs.join("*"))
        }
    }
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    each: impl Fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_char(',')?;
        }
        each(item, f)?;
    }
    Ok(())
}

/// To the microsecond.
fn exact(time: Timestamp) -> String {
    format!("{:.6}", time.calendar())
}

/// Millionths as a decimal number of whole ones.
fn millionths(number: u64) -> String {
    let decimal = format!("{}.{:06}", number / 1_000_000, number % 1_000_000);
    decimal.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Text as it is written between quotes.
pub(super) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// What was typed, short enough for a message.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
