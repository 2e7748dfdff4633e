//! How the index is set up.
//!
//! - Only `words` is searched, and what is searched has no typos: hits come newest first, so that a word's misspelt
//!   neighbours would stand among its own hits.
//! - `byAttribute`, because a document's words have no order. The one locale keeps languages from being guessed: words are
//!   spelt in ASCII.
//! - The one order is that of the ids, so nothing else is ranked, and no search is cut off half-way: it would answer out
//!   of order.
//!
//! Whether the index is complete, and which rebuild fills it, is said by one more name among the displayed attributes:
//! that is kept with the index, goes along when indexes are swapped, and costs no indexing when it changes.

use serde_json::{Value, json};
use verbatim_core::model::query::Field;

use crate::filter::attribute;

/// Columns compared with `=` alone, or with parts of them.
const EQUAL: [Field; 16] = [
    Field::Model,
    Field::Provider,
    Field::Dialect,
    Field::Outcome,
    Field::App,
    Field::Project,
    Field::Key,
    Field::Owner,
    Field::Session,
    Field::Tag,
    Field::Method,
    Field::Path,
    Field::Error,
    Field::Stream,
    Field::HasTool,
    Field::HasError,
];

/// Columns compared with `<` and `>`.
const ORDERED: [Field; 6] =
    [Field::Id, Field::Began, Field::Status, Field::Tokens, Field::Cost, Field::Duration];

const SEARCHED: &str = "words";
const COMPLETE: &str = "complete:";
const REBUILD: &str = "rebuild:";

/// What is known of an index from its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setup {
    /// Whether everything is as it should be.
    pub(crate) is_current: bool,
    /// Whether it was made by us, rather than by a write to an index that was gone.
    pub(crate) is_ours: bool,
    pub(crate) mark: Mark,
}

/// What an index says of its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Records may be missing from it.
    None,
    /// It has every record, or will have it: the rebuild of this name filled it.
    Complete(String),
    /// The rebuild of this name fills it.
    Rebuild(String),
}

impl Mark {
    fn attribute(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Complete(name) => Some(format!("{COMPLETE}{name}")),
            Self::Rebuild(name) => Some(format!("{REBUILD}{name}")),
        }
    }

    fn of(attribute: &str) -> Option<Self> {
        let rebuild = attribute.strip_prefix(REBUILD).map(|name| Self::Rebuild(name.to_owned()));
        rebuild.or_else(|| attribute.strip_prefix(COMPLETE).map(|name| Self::Complete(name.to_owned())))
    }
}

/// The settings that an index is given.
pub(crate) fn wanted(mark: &Mark) -> Value {
    let names = |fields: &[Field]| fields.iter().map(|field| attribute(*field)).collect::<Vec<_>>();
    let filtered = |fields: &[Field], comparison: bool| {
        json!({
            "attributePatterns": names(fields),
            "features": {"facetSearch": false, "filter": {"equality": true, "comparison": comparison}},
        })
    };
    let mut displayed = vec!["id".to_owned(), "text".to_owned(), "columns".to_owned()];
    displayed.extend(names(&EQUAL).into_iter().map(str::to_owned));
    displayed.extend(mark.attribute());
    json!({
        "searchableAttributes": [SEARCHED],
        "displayedAttributes": displayed,
        "filterableAttributes": [filtered(&EQUAL, false), filtered(&ORDERED, true)],
        "sortableAttributes": ["id"],
        "rankingRules": ["sort"],
        "typoTolerance": {"enabled": false},
        "proximityPrecision": "byAttribute",
        "localizedAttributes": [{"attributePatterns": ["words.*"], "locales": ["eng"]}],
        "facetSearch": false,
        "prefixSearch": "indexingTime",
        "pagination": {"maxTotalHits": 1_000_000_000},
        "searchCutoffMs": 60_000,
    })
}

/// What the settings of an index say.
pub(crate) fn read(settings: &Value) -> Setup {
    let displayed = settings["displayedAttributes"].as_array();
    let mark =
        displayed.into_iter().flatten().filter_map(Value::as_str).find_map(Mark::of).unwrap_or(Mark::None);
    Setup {
        is_current: covers(settings, &wanted(&mark)),
        is_ours: settings["searchableAttributes"] == json!([SEARCHED]),
        mark,
    }
}

/// Whether everything that is wanted is there. Lists are compared as sets: none of ours has an order.
fn covers(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Object(there), Value::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| there.get(name).is_some_and(|there| covers(there, wanted)))
        }
        (Value::Array(there), Value::Array(wanted)) => {
            there.len() == wanted.len()
                && wanted.iter().all(|wanted| there.iter().any(|there| covers(there, wanted)))
        }
        _ => there == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_were_written_are_read_as_current() {
        for mark in [Mark::None, Mark::Complete("r1".to_owned()), Mark::Rebuild("r1".to_owned())] {
            let mut settings = wanted(&mark);
            // What a server adds, and the order that it gives.
            settings["synonyms"] = json!({});
            settings["typoTolerance"]["disableOnWords"] = json!([]);
            settings["displayedAttributes"].as_array_mut().unwrap().reverse();
            assert_eq!(read(&settings), Setup { is_current: true, is_ours: true, mark });
        }
    }

    #[test]
    fn every_difference_shows() {
        let current = wanted(&Mark::None);
        for name in current.as_object().unwrap().keys() {
            let mut changed = current.clone();
            changed[name] = json!(null);
            assert!(!read(&changed).is_current, "{name}");
        }
        let mut changed = current;
        changed["filterableAttributes"][0]["attributePatterns"] = json!(["model"]);
        assert!(!read(&changed).is_current);
    }

    #[test]
    fn an_index_that_a_write_made_is_not_ours() {
        let made = json!({"searchableAttributes": ["*"], "displayedAttributes": ["*"]});
        assert_eq!(read(&made), Setup { is_current: false, is_ours: false, mark: Mark::None });
    }

    #[test]
    fn every_field_of_the_query_language_is_filtered() {
        let wanted = wanted(&Mark::None).to_string();
        assert_eq!(EQUAL.len() + ORDERED.len(), 22);
        for field in EQUAL.iter().chain(&ORDERED) {
            assert!(wanted.contains(&format!("\"{}\"", attribute(*field))), "{field:?}");
        }
    }
}
