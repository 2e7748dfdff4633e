//! Filters of the query language as SQL conditions on a table of exchanges.
//!
//! Both databases name the columns alike: `id` (16 bytes), `began_us`, `model_asked`, `model_served`, `provider`,
//! `dialect` and `outcome` (numbers), `status`, `app`, `project`, `key`, `owner`, `session`, `method`, `path`,
//! `error`, `total_tokens`, `cost_micros`, `duration_us`, `streamed`, and the lists `tags` and `tools_called`, whose
//! words each stand between two line feeds. What is not known is NULL, or an empty text.
//!
//! Every value is bound, none is spliced. Equality is `COLLATE NOCASE`, so an index meant to serve it needs that
//! collation; ASCII letters match without regard to case.

use rusqlite::types::Value;
use verbatim_core::model::query::{Condition, Field, Filter, ListedPattern, Pattern, TextColumns};

/// A condition to stand behind WHERE, in brackets, with a `?` for each of its values in order.
#[derive(Debug, Clone, PartialEq)]
pub struct SqlCondition {
    /// SQL that is true of the rows to keep.
    pub sql: String,
    /// What its `?`s stand for.
    pub values: Vec<Value>,
}

/// The condition that all of `filters` hold of a row of `table` (a table's name or alias). Without any it is true.
/// An excluded filter also keeps rows whose column is not known.
pub fn to_sql(filters: &[Filter], table: &'static str) -> SqlCondition {
    let mut out = Writer { table, sql: String::new(), values: Vec::new() };
    out.push("(");
    for (index, filter) in filters.iter().enumerate() {
        out.push(if index == 0 { "(" } else { " AND (" });
        out.condition(filter.field, &filter.condition);
        out.push(if filter.excluded { ") IS NOT TRUE" } else { ")" });
    }
    out.push(if filters.is_empty() { "TRUE)" } else { ")" });
    SqlCondition { sql: out.sql, values: out.values }
}

struct Writer {
    table: &'static str,
    sql: String,
    values: Vec<Value>,
}

impl Writer {
    fn push(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    fn column(&mut self, name: &str) {
        self.push(self.table);
        self.push(".");
        self.push(name);
    }

    fn bind(&mut self, sql: &str, value: impl Into<Value>) {
        self.push(sql);
        self.values.push(value.into());
    }

    /// One filter's condition; a condition that does not fit its field holds of no row.
    fn condition(&mut self, field: Field, condition: &Condition) {
        match (field, condition) {
            (_, Condition::Matches(patterns)) => match field.text_columns() {
                Some(text) => self.any(patterns, |out, pattern| out.text(text, pattern)),
                None => self.push("FALSE"),
            },
            (_, Condition::Number { min, max }) => match field.number_column() {
                Some(column) => self.between(column, min.map(clamped), max.map(clamped)),
                None => self.push("FALSE"),
            },
            (Field::Began, Condition::Time { from, to }) => {
                self.between(
                    "began_us",
                    from.map(|time| time.as_unix_us()),
                    to.map(|time| time.as_unix_us()),
                );
            }
            (Field::Outcome, Condition::Outcomes(outcomes)) => {
                self.number_in("outcome", outcomes.iter().map(|outcome| outcome.number()));
            }
            (Field::Dialect, Condition::Dialects(dialects)) => {
                self.number_in("dialect", dialects.iter().map(|dialect| dialect.number()));
            }
            (Field::Stream, Condition::Is(yes)) => {
                self.column("streamed");
                self.bind(" = ?", i64::from(*yes));
            }
            (Field::HasTool, Condition::Is(yes)) => {
                // Two line feeds around nothing, or less, is an empty list.
                self.push("(coalesce(length(");
                self.column("tools_called");
                self.bind("), 0) > 2) = ?", i64::from(*yes));
            }
            (Field::HasError, Condition::Is(yes)) => {
                self.push("(coalesce(");
                self.column("error");
                self.push(", '') <> '' OR coalesce(");
                self.column("status");
                self.bind(", 0) >= 400) = ?", i64::from(*yes));
            }
            (Field::Id, Condition::Id(id)) => {
                self.column("id");
                self.bind(" = ?", id.as_bytes().to_vec());
            }
            _ => self.push("FALSE"),
        }
    }

    fn any<T>(&mut self, items: &[T], mut each: impl FnMut(&mut Self, &T)) {
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.push(" OR ");
            }
            each(self, item);
        }
        if items.is_empty() {
            self.push("FALSE");
        }
    }

    fn text(&mut self, text: TextColumns, pattern: &Pattern) {
        match text {
            TextColumns::Whole(columns) => self.any(columns, |out, column| match pattern.exact() {
                Some(exact) => {
                    out.column(column);
                    out.bind(" = ? COLLATE NOCASE", exact.to_owned());
                }
                None => out.like(column, pattern.like()),
            }),
            TextColumns::Within(column) => match pattern.exact() {
                Some(exact) => self.like(column, Pattern::like_of(&["", exact, ""])),
                None => self.like(column, pattern.like()),
            },
            TextColumns::Listed(column) => self.listed(column, pattern),
        }
    }

    fn listed(&mut self, column: &'static str, pattern: &Pattern) {
        match pattern.listed() {
            ListedPattern::AnyWord => {
                self.push("length(");
                self.column(column);
                self.push(") > 2");
            }
            ListedPattern::ListLike(like) => self.like(column, like),
            ListedPattern::WordLike(like) => {
                self.push("EXISTS (WITH RECURSIVE list(word, rest) AS (SELECT NULL, ltrim(");
                self.column(column);
                self.push(
                    ", char(10)) UNION ALL SELECT substr(rest, 1, instr(rest, char(10)) - 1), \
                     substr(rest, instr(rest, char(10)) + 1) FROM list WHERE instr(rest, char(10)) > 0) \
                     SELECT 1 FROM list WHERE ",
                );
                self.bind("word LIKE ? ESCAPE '\\')", like);
            }
        }
    }

    fn like(&mut self, column: &str, pattern: String) {
        self.column(column);
        self.bind(" LIKE ? ESCAPE '\\'", pattern);
    }

    fn between(&mut self, column: &str, min: Option<i64>, max: Option<i64>) {
        match (min, max) {
            (None, None) => {
                self.column(column);
                self.push(" IS NOT NULL");
            }
            (Some(min), Some(max)) => {
                self.column(column);
                self.bind(" BETWEEN ?", min);
                self.bind(" AND ?", max);
            }
            (Some(min), None) => {
                self.column(column);
                self.bind(" >= ?", min);
            }
            (None, Some(max)) => {
                self.column(column);
                self.bind(" <= ?", max);
            }
        }
    }

    fn number_in(&mut self, column: &str, numbers: impl Iterator<Item = u8>) {
        self.column(column);
        self.push(" IN (");
        for (index, number) in numbers.enumerate() {
            self.bind(if index == 0 { "?" } else { ", ?" }, i64::from(number));
        }
        self.push(")");
    }
}

fn clamped(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, params_from_iter};
    use verbatim_core::model::{Dialect, Outcome, Timestamp};

    use super::*;

    fn table() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE exchange (name TEXT, id BLOB, began_us INTEGER, model_asked TEXT, model_served TEXT,
                   provider TEXT, dialect INTEGER, status INTEGER, outcome INTEGER, app TEXT, project TEXT, key TEXT,
                   owner TEXT, session TEXT, tags TEXT, method TEXT, path TEXT, error TEXT, total_tokens INTEGER,
                   cost_micros INTEGER, duration_us INTEGER, streamed INTEGER, tools_called TEXT);
                 INSERT INTO exchange (name, began_us, model_asked, model_served, provider, dialect, status, outcome,
                   tags, method, path, total_tokens, streamed, tools_called)
                 VALUES ('chat', 1000, 'gpt-4o', 'gpt-4o-2024-11-20', 'openai', 1, 200, 1, char(10) || 'red' ||
                   char(10) || 'blue' || char(10), 'POST', '/v1/chat/completions', 500, 1,
                   char(10) || 'f' || char(10));
                 INSERT INTO exchange (name, began_us, model_asked, provider, dialect, status, outcome, tags, path,
                   error, streamed, tools_called)
                 VALUES ('failed', 2000, 'claude_100%', 'anthropic', 4, 529, 2, '', '/v1/messages', 'overloaded', 0,
                   char(10));
                 INSERT INTO exchange (name, began_us, provider, dialect, outcome, path, streamed)
                 VALUES ('bare', 3000, '', 0, 6, '/nowhere', 0);",
            )
            .unwrap();
        connection
    }

    fn pattern(text: &str) -> Condition {
        Condition::Matches(vec![Pattern { runs: text.split('*').map(str::to_owned).collect() }])
    }

    fn found(field: Field, condition: Condition, excluded: bool) -> String {
        let condition = to_sql(&[Filter { field, condition, excluded }], "exchange");
        let connection = table();
        let sql = format!("SELECT name FROM exchange WHERE {} ORDER BY began_us", condition.sql);
        let mut statement = connection.prepare(&sql).unwrap();
        let rows =
            statement.query_map(params_from_iter(condition.values), |row| row.get::<_, String>(0)).unwrap();
        rows.map(Result::unwrap).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn text_matches_whole_and_without_regard_to_case() {
        assert_eq!(found(Field::Provider, pattern("OpenAI"), false), "chat");
        assert_eq!(found(Field::Provider, pattern("open"), false), "");
        assert_eq!(found(Field::Provider, pattern("open*"), false), "chat");
        assert_eq!(found(Field::Method, pattern("post"), false), "chat");
    }

    #[test]
    fn a_model_is_found_as_asked_for_or_served() {
        assert_eq!(found(Field::Model, pattern("gpt-4o"), false), "chat");
        assert_eq!(found(Field::Model, pattern("gpt-4o-2024*"), false), "chat");
    }

    #[test]
    fn an_excluded_filter_keeps_rows_where_nothing_is_known() {
        assert_eq!(found(Field::Model, pattern("gpt-4o"), true), "failed bare");
        assert_eq!(found(Field::Model, pattern("*"), true), "bare");
        assert_eq!(found(Field::Status, Condition::Number { min: Some(500), max: None }, true), "chat bare");
    }

    #[test]
    fn signs_that_like_knows_are_only_text() {
        assert_eq!(found(Field::Model, pattern("claude_1*%"), false), "failed");
        assert_eq!(found(Field::Model, pattern("c_aude*"), false), "");
        assert_eq!(found(Field::Model, pattern("%*"), false), "");
        assert_eq!(found(Field::Model, pattern("' OR 1=1 --"), false), "");
    }

    #[test]
    fn path_and_error_need_only_contain_the_text_unless_it_has_a_star() {
        assert_eq!(found(Field::Path, pattern("chat"), false), "chat");
        assert_eq!(found(Field::Path, pattern("/v1*"), false), "chat failed");
        assert_eq!(found(Field::Path, pattern("v1*"), false), "");
        assert_eq!(found(Field::Error, pattern("LOADED"), false), "failed");
    }

    #[test]
    fn a_tag_is_a_whole_word_of_the_list_and_a_star_stays_inside_it() {
        assert_eq!(found(Field::Tag, pattern("blue"), false), "chat");
        assert_eq!(found(Field::Tag, pattern("blu"), false), "");
        assert_eq!(found(Field::Tag, pattern("b*"), false), "chat");
        assert_eq!(found(Field::Tag, pattern("*ed"), false), "chat");
        assert_eq!(found(Field::Tag, pattern("*lu*"), false), "chat");
        assert_eq!(found(Field::Tag, pattern("b*e"), false), "chat");
        assert_eq!(found(Field::Tag, pattern("r*e"), false), "");
        assert_eq!(found(Field::Tag, pattern("*"), false), "chat");
        assert_eq!(found(Field::Tag, pattern("*"), true), "failed bare");
    }

    #[test]
    fn numbers_times_and_words_from_a_set_are_compared() {
        assert_eq!(
            found(Field::Tokens, Condition::Number { min: Some(500), max: Some(u64::MAX) }, false),
            "chat"
        );
        let time = Condition::Time { from: Some(Timestamp::from_unix_us(2000)), to: None };
        assert_eq!(found(Field::Began, time, false), "failed bare");
        let outcomes = Condition::Outcomes(vec![Outcome::Completed, Outcome::Refused]);
        assert_eq!(found(Field::Outcome, outcomes, false), "chat bare");
        assert_eq!(found(Field::Dialect, Condition::Dialects(vec![Dialect::Anthropic]), false), "failed");
        assert_eq!(found(Field::Dialect, Condition::Dialects(vec![]), false), "");
    }

    #[test]
    fn what_is_there_or_not_is_told() {
        assert_eq!(found(Field::Stream, Condition::Is(true), false), "chat");
        assert_eq!(found(Field::HasTool, Condition::Is(true), false), "chat");
        assert_eq!(found(Field::HasTool, Condition::Is(false), false), "failed bare");
        assert_eq!(found(Field::HasError, Condition::Is(true), false), "failed");
        assert_eq!(found(Field::HasError, Condition::Is(true), true), "chat bare");
    }

    #[test]
    fn no_filter_keeps_every_row_and_a_condition_of_another_field_none() {
        assert_eq!(to_sql(&[], "exchange"), SqlCondition { sql: "(TRUE)".into(), values: vec![] });
        assert_eq!(found(Field::Id, pattern("x"), false), "");
        assert_eq!(found(Field::Provider, Condition::Is(true), false), "");
    }
}
