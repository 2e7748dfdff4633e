//! What a query says. All of it must hold: terms and filters are joined with "and".

use super::super::{Dialect, ExchangeId, Outcome, Timestamp};

/// A parsed query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// Words and phrases to find.
    pub text: Vec<TextTerm>,
    /// Conditions on columns.
    pub filters: Vec<Filter>,
    /// `in:all`: look through whole bodies instead of the search index.
    pub everywhere: bool,
}

/// A word, or a phrase whose words stand side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextTerm {
    /// As typed, without quotes.
    pub text: String,
    /// Whether it was quoted.
    pub phrase: bool,
    /// Whether it must be absent.
    pub excluded: bool,
}

/// A condition on one column.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// Which column.
    pub field: Field,
    /// What must hold of it.
    pub condition: Condition,
    /// Whether it must not.
    pub excluded: bool,
}

/// What can be filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// Model asked for or served.
    Model,
    /// Provider's name.
    Provider,
    /// Wire language.
    Dialect,
    /// Status that the application got.
    Status,
    /// How it ended.
    Outcome,
    /// Calling program.
    App,
    /// Project.
    Project,
    /// Virtual key.
    Key,
    /// Owner of the key.
    Owner,
    /// Conversation.
    Session,
    /// Tags.
    Tag,
    /// HTTP method.
    Method,
    /// Path.
    Path,
    /// Error line.
    Error,
    /// Total tokens.
    Tokens,
    /// Cost, in millionths of a US dollar (typed in dollars).
    Cost,
    /// Duration, in microseconds (typed in seconds, or with `ms`, `s`, `m`).
    Duration,
    /// When it began.
    Began,
    /// Whether it was streamed.
    Stream,
    /// Whether the model called a tool.
    HasTool,
    /// Whether it has an error.
    HasError,
    /// Its id.
    Id,
}

/// What must hold of a column. Bounds are inclusive, and at least one of two is there.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// A text column matches one of these patterns, without regard to case.
    Matches(Vec<Pattern>),
    /// A number lies between bounds.
    Number {
        /// At least.
        min: Option<u64>,
        /// At most.
        max: Option<u64>,
    },
    /// A moment lies between bounds.
    Time {
        /// Not before.
        from: Option<Timestamp>,
        /// Not after.
        to: Option<Timestamp>,
    },
    /// The outcome is one of these.
    Outcomes(Vec<Outcome>),
    /// The wire language is one of these.
    Dialects(Vec<Dialect>),
    /// It is so.
    Is(bool),
    /// It is this exchange.
    Id(ExchangeId),
}

/// Text in which `*` stands for any run of characters. Without one the whole must be equal, but for `path` and
/// `error`, which need only contain it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// The runs between the stars; one run without a star.
    pub runs: Vec<String>,
}

impl Pattern {
    /// Whether it has no star.
    pub fn exact(&self) -> Option<&str> {
        match self.runs.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }
}
