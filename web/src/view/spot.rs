//! A query with the spot marked where it goes wrong.

use verbatim_core::model::query::QueryError;

use crate::error::floor;
use crate::find::Fragment;

/// A query cut at its wrong spot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrongQuery {
    pub(crate) before: String,
    /// What is wrong; a space where something is missing at the end.
    pub(crate) wrong: String,
    pub(crate) after: String,
    /// What was expected and what came; what stands between backticks is a hit.
    pub(crate) message: Vec<Fragment>,
}

impl WrongQuery {
    pub(crate) fn new(query: &str, error: &QueryError) -> Self {
        let start = floor(query, error.at.start);
        let end = floor(query, error.at.end.max(start));
        let wrong = if start == end { " " } else { &query[start..end] };
        Self {
            before: query[..start].to_owned(),
            wrong: wrong.to_owned(),
            after: query[end..].to_owned(),
            message: pieces(&error.message),
        }
    }
}

fn pieces(message: &str) -> Vec<Fragment> {
    let pieces = message.split('`').enumerate();
    pieces.map(|(at, text)| Fragment { text: text.to_owned(), hit: at % 2 == 1 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spot_is_cut_out() {
        let error = QueryError { at: 7..13, message: "m".to_owned() };
        let wrong = WrongQuery::new("天气 statsu:200", &error);
        assert_eq!(
            (wrong.before.as_str(), wrong.wrong.as_str(), wrong.after.as_str()),
            ("天气 ", "statsu", ":200")
        );
        let error = QueryError { at: 99..99, message: "m".to_owned() };
        assert_eq!(WrongQuery::new("x", &error).wrong, " ");
    }
}
