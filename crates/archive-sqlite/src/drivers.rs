//! Which index leaves least to look at. SQLite chooses by statistics that a growing file does not have; the columns'
//! nature says enough.

use rusqlite::types::Value;
use verbatim_core::model::Outcome;
use verbatim_core::model::query::{Condition, Field, Filter};

/// Where candidates come from, newest first.
pub(crate) enum Driver {
    /// Every exchange.
    Scan,
    /// Those of an index that meet a condition.
    Index { index: &'static str, condition: String, value: Option<Value> },
}

/// The sources whose union holds all that match. With the place of the filter that they already fulfil, if they do.
pub(crate) fn drivers(filters: &[Filter]) -> (Option<usize>, Vec<Driver>) {
    let wanted = || filters.iter().enumerate().filter(|(_, filter)| !filter.excluded);
    let by_text = |field: Field| {
        wanted()
            .filter(move |(_, filter)| filter.field == field)
            .find_map(|(at, filter)| Some((at, equal(filter)?)))
    };
    // A session is small; failures and tags are rare; a key, a project, a program or a model may be anything.
    if let Some((at, drivers)) = by_text(Field::Session) {
        return (Some(at), drivers);
    }
    if let Some(drivers) = filters.iter().find_map(rare) {
        return (None, drivers);
    }
    let fields = [Field::Key, Field::Project, Field::App, Field::Model];
    match fields.into_iter().find_map(by_text) {
        Some((at, drivers)) => (Some(at), drivers),
        None => (None, vec![Driver::Scan]),
    }
}

/// For a text that must be equal to one of a few.
fn equal(filter: &Filter) -> Option<Vec<Driver>> {
    let columns: &[(&str, &str)] = match filter.field {
        Field::Session => &[("session", "exchange_session")],
        Field::Key => &[("key", "exchange_key")],
        Field::Project => &[("project", "exchange_project")],
        Field::App => &[("app", "exchange_app")],
        Field::Model => &[("model_asked", "exchange_model_asked"), ("model_served", "exchange_model_served")],
        _ => return None,
    };
    let Condition::Matches(patterns) = &filter.condition else { return None };
    let texts: Option<Vec<&str>> = patterns.iter().map(|pattern| pattern.exact()).collect();
    let texts = texts.filter(|texts| !texts.is_empty())?;
    let drivers = texts.iter().flat_map(|text| {
        columns.iter().map(|(column, index)| Driver::Index {
            index,
            condition: format!("e.{column} = ? COLLATE NOCASE"),
            value: Some(Value::Text((*text).to_owned())),
        })
    });
    Some(drivers.collect())
}

/// For what holds of few exchanges. The conditions read as the indexes' own, or as one of those that theirs is joined
/// of, or SQLite would not see that they fit.
fn rare(filter: &Filter) -> Option<Vec<Driver>> {
    let by = |index, condition: &str| {
        Some(vec![Driver::Index { index, condition: condition.to_owned(), value: None }])
    };
    let troubled = |condition| by("exchange_troubled", condition);
    match (filter.field, &filter.condition, filter.excluded) {
        (Field::Status, Condition::Number { min: Some(400..), .. }, false) => troubled("e.status >= 400"),
        (Field::Outcome, Condition::Outcomes(outcomes), excluded) => {
            let other_than_completed = outcomes.contains(&Outcome::Completed) == excluded;
            if other_than_completed { troubled("e.outcome <> 1") } else { None }
        }
        (Field::Error, Condition::Matches(_), false) => troubled("e.error IS NOT NULL"),
        (Field::HasError, Condition::Is(yes), excluded) if *yes != excluded => {
            troubled("(e.outcome <> 1 OR e.status >= 400 OR e.error IS NOT NULL)")
        }
        (Field::Tag, Condition::Matches(_), false) => by("exchange_tags", "e.tags IS NOT NULL"),
        _ => None,
    }
}
