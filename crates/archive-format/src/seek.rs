//! Where to begin to look for exchanges: which condition leaves least to look at, and between which ids all of them
//! lie. Databases choose by statistics that a growing table does not have; the columns' nature says enough.

use std::time::Duration;

use verbatim_core::model::query::{Condition, Field, Filter};
use verbatim_core::model::{ExchangeId, Outcome};

/// An id tells when its exchange began, give or take this: records further apart are kept aside.
const APART: Duration = Duration::from_secs(24 * 60 * 60);

/// Where candidates come from, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Driver {
    /// Every exchange.
    Scan,
    /// Those whose column equals a text, without regard to case.
    Equal {
        /// The column.
        column: &'static str,
        /// What it equals.
        text: String,
    },
    /// Those that ended badly, of which this holds.
    Troubled(Trouble),
    /// Those that have tags.
    Tagged,
}

/// What may hold of an exchange that ended badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A status of 400 or above.
    Status,
    /// An outcome other than completed.
    Outcome,
    /// An error.
    Error,
    /// Any of these.
    Any,
}

/// The sources whose union holds all that match. With the place of the filter that they already fulfil, if they do.
/// `indexed` has the fields besides the session that an index finds by their text, those of fewest calls first.
pub fn drivers(filters: &[Filter], indexed: &[Field]) -> (Option<usize>, Vec<Driver>) {
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
    if let Some(driver) = filters.iter().find_map(rare) {
        return (None, vec![driver]);
    }
    match indexed.iter().copied().find_map(by_text) {
        Some((at, drivers)) => (Some(at), drivers),
        None => (None, vec![Driver::Scan]),
    }
}

/// For a text that must be equal to one of a few.
fn equal(filter: &Filter) -> Option<Vec<Driver>> {
    let columns: &[&'static str] = match filter.field {
        Field::Session => &["session"],
        Field::Key => &["key"],
        Field::Project => &["project"],
        Field::App => &["app"],
        Field::Model => &["model_asked", "model_served"],
        Field::Owner => &["owner"],
        Field::Provider => &["provider"],
        _ => return None,
    };
    let Condition::Matches(patterns) = &filter.condition else { return None };
    let texts: Option<Vec<&str>> = patterns.iter().map(|pattern| pattern.exact()).collect();
    let texts = texts.filter(|texts| !texts.is_empty())?;
    let equal = |text: &str, column| Driver::Equal { column, text: text.to_owned() };
    Some(texts.iter().flat_map(|text| columns.iter().map(move |column| equal(text, column))).collect())
}

/// For what holds of few exchanges.
fn rare(filter: &Filter) -> Option<Driver> {
    match (filter.field, &filter.condition, filter.excluded) {
        (Field::Status, Condition::Number { min: Some(400..), .. }, false) => {
            Some(Driver::Troubled(Trouble::Status))
        }
        (Field::Outcome, Condition::Outcomes(outcomes), excluded) => {
            let other_than_completed = outcomes.contains(&Outcome::Completed) == excluded;
            other_than_completed.then_some(Driver::Troubled(Trouble::Outcome))
        }
        (Field::Error, Condition::Matches(_), false) => Some(Driver::Troubled(Trouble::Error)),
        (Field::HasError, Condition::Is(yes), excluded) if *yes != excluded => {
            Some(Driver::Troubled(Trouble::Any))
        }
        (Field::Tag, Condition::Matches(_), false) => Some(Driver::Tagged),
        _ => None,
    }
}

/// Ids between which all that match lie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Only ids above this one.
    pub above: Option<ExchangeId>,
    /// Only ids below this one.
    pub below: Option<ExchangeId>,
}

impl Bounds {
    /// What a page asks for, narrowed by conditions on time.
    pub fn of(filters: &[Filter], before: Option<ExchangeId>, after: Option<ExchangeId>) -> Self {
        let (mut above, mut below) = (after, before);
        for filter in filters.iter().filter(|filter| filter.field == Field::Began && !filter.excluded) {
            if let Condition::Time { from, to } = filter.condition {
                above = above.max(from.map(|from| ExchangeId::lowest_at(from.minus(APART * 2))));
                let to = to.map(|to| ExchangeId::highest_at(to.plus(APART * 2)));
                below = [below, to].into_iter().flatten().min();
            }
        }
        Self { above, below }
    }
}

#[cfg(test)]
mod tests {
    use verbatim_core::model::query::Pattern;

    use super::*;

    fn filter(field: Field, condition: Condition) -> Filter {
        Filter { field, condition, excluded: false }
    }

    fn text(field: Field, text: &str) -> Filter {
        filter(
            field,
            Condition::Matches(vec![Pattern { runs: text.split('*').map(str::to_owned).collect() }]),
        )
    }

    fn drivers(filters: &[Filter]) -> (Option<usize>, Vec<Driver>) {
        super::drivers(filters, &[Field::Key, Field::Model])
    }

    #[test]
    fn the_rarest_condition_drives() {
        let failed = filter(Field::Status, Condition::Number { min: Some(429), max: None });
        let (model, session) = (text(Field::Model, "o3"), text(Field::Session, "s"));
        let column = |filters: &[Filter]| match &drivers(filters).1[..] {
            [Driver::Equal { column, .. }, ..] => *column,
            [Driver::Troubled(Trouble::Status)] => "troubled",
            other => panic!("{other:?}"),
        };
        assert_eq!(column(&[model.clone(), failed.clone(), session]), "session");
        assert_eq!(column(&[model.clone(), failed]), "troubled");
        assert_eq!(column(std::slice::from_ref(&model)), "model_asked");
        assert_eq!(drivers(&[text(Field::Model, "o*")]), (None, vec![Driver::Scan]));
        assert_eq!(drivers(&[text(Field::Owner, "ann")]), (None, vec![Driver::Scan]));
        assert_eq!(drivers(&[Filter { excluded: true, ..model }]), (None, vec![Driver::Scan]));
    }

    #[test]
    fn times_narrow_the_ids_with_room_for_clocks_that_differ() {
        let now = verbatim_core::model::Timestamp::from_unix_ms(1_795_300_000_000);
        let began = filter(Field::Began, Condition::Time { from: Some(now), to: Some(now) });
        let bounds = Bounds::of(&[began], None, None);
        let (above, below) = (bounds.above.unwrap(), bounds.below.unwrap());
        assert!(
            above < ExchangeId::lowest_at(now.minus(APART))
                && ExchangeId::lowest_at(now.minus(APART * 3)) < above
        );
        assert!(
            below > ExchangeId::highest_at(now.plus(APART))
                && ExchangeId::highest_at(now.plus(APART * 3)) > below
        );
    }
}
