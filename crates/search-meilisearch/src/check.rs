//! Looking again at what Meilisearch found and could not tell for certain.

use std::collections::HashMap;

use serde::Deserialize;
use verbatim_core::model::ExchangeId;
use verbatim_core::model::query::Filter;
use verbatim_search_text::{CutText, Needle};

use crate::document::Facets;
use crate::filter;

/// A document that was found.
#[derive(Debug, Deserialize)]
pub(crate) struct Found {
    pub(crate) id: ExchangeId,
    /// Its fields' texts, by their names.
    #[serde(default)]
    pub(crate) text: HashMap<String, String>,
    /// What is searched beside them; only where it is to be looked at again.
    #[serde(default)]
    columns: Vec<String>,
    /// Those that are to be looked at again.
    #[serde(flatten)]
    facets: Facets,
}

/// What has to hold of a document, beside what Meilisearch is sure of.
#[derive(Debug, Default)]
pub(crate) struct Check {
    /// Each has to stand in it.
    pub(crate) wanted: Vec<Needle>,
    /// None of these may.
    pub(crate) excluded: Vec<Needle>,
    pub(crate) filters: Vec<Filter>,
}

impl Check {
    /// Whether there is nothing to look at again.
    pub(crate) fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.excluded.is_empty() && self.filters.is_empty()
    }

    /// The attributes that it looks at, beside the text.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &'static str> {
        let columns = (!self.wanted.is_empty() || !self.excluded.is_empty()).then_some("columns");
        columns.into_iter().chain(self.filters.iter().map(|filter| filter::attribute(filter.field)))
    }

    /// Whether all of it holds.
    pub(crate) fn passes(&self, found: &Found) -> bool {
        let hold = |filter: &Filter| filter::holds(filter, found.facets.of_field(filter.field));
        if !self.filters.iter().all(hold) {
            return false;
        }
        if self.wanted.is_empty() && self.excluded.is_empty() {
            return true;
        }
        let texts: Vec<_> = found.text.values().chain(&found.columns).map(|text| CutText::of(text)).collect();
        let stands = |needle: &Needle| texts.iter().any(|text| text.has(needle));
        self.wanted.iter().all(stands) && !self.excluded.iter().any(stands)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use verbatim_core::model::Timestamp;
    use verbatim_core::model::query::parse;
    use verbatim_search_text::Needles;

    use super::*;
    use crate::filter::Filters;

    fn passes(query: &str) -> bool {
        let found = serde_json::from_value(json!({
            "id": "0193a4c2-7b1e-7f02-9c1d-5a0b6c1f2e77",
            "text": {"asked": "The quick, brown fox", "answered": "it is"},
            "columns": ["gpt-4o", "quick tag"],
            "model": ["^gpt-4o$"],
        }));
        let query = parse(query, Timestamp::default()).unwrap();
        let Needles { wanted, excluded, .. } = Needles::of(&query);
        let check = Check { wanted, excluded, filters: Filters::of(&query.filters).unsure };
        check.passes(&found.unwrap())
    }

    #[test]
    fn phrases_stand_in_one_text() {
        assert!(passes("\"quick brown fox\""));
        assert!(passes("\"gpt 4o\" \"quick tag\""));
        assert!(!passes("\"brown quick\""));
        assert!(!passes("\"fox it\""), "it reaches from one field into the other");
        assert!(!passes("fox -\"it is\""));
        assert!(passes("fox -\"is it\""));
    }

    #[test]
    fn filters_hold_of_one_value() {
        assert!(passes("model:g*4*o"));
        assert!(!passes("model:g*o*4"));
        assert!(!passes("-model:g*4*o"));
    }
}
