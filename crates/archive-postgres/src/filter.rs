//! Filters of the query language as SQL conditions on a table of exchanges called `e`.
//!
//! Every value is bound, none is spliced. Texts compare as `lower()` in the "C" collation does: ASCII letters match
//! without regard to case.

use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;
use verbatim_archive_format::text::{clean, int};
use verbatim_core::model::query::{Condition, Field, Filter, ListedPattern, Pattern, TextColumns};

use crate::day::uuid;

/// So many characters of a text are in its index.
pub(crate) const INDEXED: usize = 256;

/// A value that a statement is given.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Int(i64),
    Bool(bool),
    Id(Uuid),
}

impl Value {
    pub(crate) fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Text(text) => (text, Type::TEXT),
            Self::Int(number) => (number, Type::INT8),
            Self::Bool(yes) => (yes, Type::BOOL),
            Self::Id(id) => (id, Type::UUID),
        }
    }
}

/// SQL as it grows, with its values.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Sql {
    pub(crate) text: String,
    pub(crate) values: Vec<Value>,
}

impl Sql {
    pub(crate) fn push(&mut self, sql: &str) -> &mut Self {
        self.text.push_str(sql);
        self
    }

    /// A value, by its number.
    pub(crate) fn bind(&mut self, value: Value) -> &mut Self {
        self.values.push(value);
        self.text.push_str(&format!("${}", self.values.len()));
        self
    }

    /// The condition that a text column equals this, as its index has it.
    pub(crate) fn equals(&mut self, column: &str, text: &str) {
        let text = clean(text).to_ascii_lowercase();
        let indexed: String = text.chars().take(INDEXED).collect();
        let is_whole = text.chars().nth(INDEXED - 1).is_none();
        self.push(&format!("lower(left(e.{column}, {INDEXED})) = ")).bind(Value::Text(indexed));
        if !is_whole {
            self.push(&format!(" AND lower(e.{column}) = ")).bind(Value::Text(text));
        }
    }

    /// The condition that all of `filters` hold. Without any it is true. An excluded filter also keeps rows whose
    /// column is not known.
    pub(crate) fn filters(&mut self, filters: &[Filter]) {
        self.push("(");
        for (index, filter) in filters.iter().enumerate() {
            self.push(if index == 0 { "(" } else { " AND (" });
            self.condition(filter.field, &filter.condition);
            self.push(if filter.excluded { ") IS NOT TRUE" } else { ")" });
        }
        self.push(if filters.is_empty() { "TRUE)" } else { ")" });
    }

    /// One filter's condition; a condition that does not fit its field holds of no row.
    fn condition(&mut self, field: Field, condition: &Condition) {
        match (field, condition) {
            (_, Condition::Matches(patterns)) => match field.text_columns() {
                Some(columns) => self.any(patterns, |out, pattern| out.text(columns, pattern)),
                None => {
                    self.push("FALSE");
                }
            },
            (_, Condition::Number { min, max }) => match field.number_column() {
                Some(column) => self.between(column, min.map(int), max.map(int)),
                None => {
                    self.push("FALSE");
                }
            },
            (Field::Began, Condition::Time { from, to }) => {
                let us = |time: &verbatim_core::model::Timestamp| time.as_unix_us();
                self.between("began_us", from.as_ref().map(us), to.as_ref().map(us));
            }
            (Field::Outcome, Condition::Outcomes(outcomes)) => {
                self.number_in("outcome", outcomes.iter().map(|outcome| outcome.number()));
            }
            (Field::Dialect, Condition::Dialects(dialects)) => {
                self.number_in("dialect", dialects.iter().map(|dialect| dialect.number()));
            }
            (Field::Stream, Condition::Is(yes)) => {
                self.push("e.streamed = ").bind(Value::Bool(*yes));
            }
            (Field::HasTool, Condition::Is(yes)) => {
                // Two line feeds around nothing, or less, is an empty list.
                self.push("(coalesce(length(e.tools_called), 0) > 2) = ").bind(Value::Bool(*yes));
            }
            (Field::HasError, Condition::Is(yes)) => {
                self.push("(coalesce(e.error, '') <> '' OR coalesce(e.status, 0) >= 400) = ")
                    .bind(Value::Bool(*yes));
            }
            (Field::Id, Condition::Id(id)) => {
                self.push("e.id = ").bind(Value::Id(uuid(*id)));
            }
            _ => {
                self.push("FALSE");
            }
        }
    }

    fn any<T>(&mut self, items: &[T], mut each: impl FnMut(&mut Self, &T)) {
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.push(" OR ");
            }
            self.push("(");
            each(self, item);
            self.push(")");
        }
        if items.is_empty() {
            self.push("FALSE");
        }
    }

    fn text(&mut self, columns: TextColumns, pattern: &Pattern) {
        match columns {
            TextColumns::Whole(columns) => self.any(columns, |out, column| match pattern.exact() {
                Some(exact) => out.equals(column, exact),
                None => out.like(&format!("e.{column}"), &pattern.like()),
            }),
            TextColumns::Within(column) => match pattern.exact() {
                Some(exact) => self.like(&format!("e.{column}"), &Pattern::like_of(&["", exact, ""])),
                None => self.like(&format!("e.{column}"), &pattern.like()),
            },
            TextColumns::Listed(column) => match pattern.listed() {
                ListedPattern::AnyWord => {
                    self.push(&format!("length(e.{column}) > 2"));
                }
                ListedPattern::ListLike(like) => self.like(&format!("e.{column}"), &like),
                ListedPattern::WordLike(like) => {
                    self.push(&format!(
                        "EXISTS (SELECT FROM unnest(string_to_array(e.{column}, E'\\n')) AS w (word) WHERE "
                    ));
                    self.like("w.word", &like);
                    self.push(")");
                }
            },
        }
    }

    fn like(&mut self, what: &str, pattern: &str) {
        let pattern = clean(pattern).to_ascii_lowercase();
        self.push(&format!("lower({what} COLLATE \"C\") LIKE ")).bind(Value::Text(pattern));
    }

    fn between(&mut self, column: &str, min: Option<i64>, max: Option<i64>) {
        self.push(&format!("e.{column} IS NOT NULL"));
        for (bound, comparison) in [(min, ">="), (max, "<=")] {
            if let Some(bound) = bound {
                self.push(&format!(" AND e.{column} {comparison} ")).bind(Value::Int(bound));
            }
        }
    }

    /// Numbers of a closed set are as good as constants.
    fn number_in(&mut self, column: &str, numbers: impl Iterator<Item = u8>) {
        let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
        match numbers.is_empty() {
            true => self.push("FALSE"),
            false => self.push(&format!("e.{column} IN ({})", numbers.join(", "))),
        };
    }
}
