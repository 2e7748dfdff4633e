//! How stores name the columns that filters are about, and what kind each is of: so that a filter means the same
//! whichever database runs it.

use super::{Field, Pattern};

/// The text columns of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextColumns {
    /// A pattern matches the whole of one of these columns.
    Whole(&'static [&'static str]),
    /// A pattern matches any part of this column, unless it has a star.
    Within(&'static str),
    /// A pattern matches a word of this list.
    Listed(&'static str),
}

impl Field {
    /// The text columns that it is about, if it is about text.
    pub fn text_columns(self) -> Option<TextColumns> {
        use TextColumns::{Listed, Whole, Within};
        Some(match self {
            Self::Model => Whole(&["model_asked", "model_served"]),
            Self::Provider => Whole(&["provider"]),
            Self::App => Whole(&["app"]),
            Self::Project => Whole(&["project"]),
            Self::Key => Whole(&["key"]),
            Self::Owner => Whole(&["owner"]),
            Self::Session => Whole(&["session"]),
            Self::Method => Whole(&["method"]),
            Self::Path => Within("path"),
            Self::Error => Within("error"),
            Self::Tag => Listed("tags"),
            Self::Dialect
            | Self::Status
            | Self::Outcome
            | Self::Tokens
            | Self::Cost
            | Self::Duration
            | Self::Began
            | Self::Stream
            | Self::HasTool
            | Self::HasError
            | Self::Id => return None,
        })
    }

    /// The column of numbers that it is about, if it is about numbers.
    pub fn number_column(self) -> Option<&'static str> {
        match self {
            Self::Status => Some("status"),
            Self::Tokens => Some("total_tokens"),
            Self::Cost => Some("cost_micros"),
            Self::Duration => Some("duration_us"),
            _ => None,
        }
    }
}

impl Pattern {
    /// As a pattern of SQL's LIKE, with `\` to escape.
    pub fn like(&self) -> String {
        Self::like_of(&self.runs)
    }

    /// Runs of text with anything between them, as a pattern of SQL's LIKE.
    pub fn like_of<S: AsRef<str>>(runs: &[S]) -> String {
        let mut pattern = String::new();
        for (index, run) in runs.iter().enumerate() {
            if index > 0 {
                pattern.push('%');
            }
            for letter in run.as_ref().chars() {
                if matches!(letter, '%' | '_' | '\\') {
                    pattern.push('\\');
                }
                pattern.push(letter);
            }
        }
        pattern
    }

    /// How to find it among the words of a list, each of which stands between two line feeds.
    pub fn listed(&self) -> ListedPattern {
        if self.runs.iter().filter(|run| !run.is_empty()).count() > 1 {
            return ListedPattern::WordLike(self.like());
        }
        if self.runs.iter().all(String::is_empty) {
            return ListedPattern::AnyWord;
        }
        let last = self.runs.len().saturating_sub(1);
        let mut runs = vec![String::new()];
        for (index, run) in self.runs.iter().enumerate() {
            let before = if index == 0 { "\n" } else { "" };
            let after = if index == last { "\n" } else { "" };
            runs.push(format!("{before}{run}{after}"));
        }
        runs.push(String::new());
        ListedPattern::ListLike(Self::like_of(&runs))
    }
}

/// How a pattern is found among the words of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListedPattern {
    /// Any word will do: the list is longer than two line feeds.
    AnyWord,
    /// The whole list is like this.
    ListLike(String),
    /// One of its words is like this; the list has to be taken apart, lest a star reach from one word into the next.
    WordLike(String),
}
