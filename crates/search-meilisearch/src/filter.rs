//! Conditions on columns, in Meilisearch's language.

use verbatim_core::model::query::{Condition, Field, Filter, Pattern};

use crate::facet;

/// What filters come to. All of it must hold.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    /// What Meilisearch is asked.
    pub(crate) expressions: Vec<String>,
    /// What it can't tell for certain: has to be asked of each document that it finds.
    pub(crate) unsure: Vec<Filter>,
}

/// The largest number that Meilisearch keeps exactly.
pub(crate) const LARGEST: u64 = 1 << 53;

/// The attribute that holds a column.
pub(crate) fn attribute(field: Field) -> &'static str {
    match field {
        Field::HasTool => "has_tool",
        Field::HasError => "has_error",
        other => other.name(),
    }
}

/// Whether a pattern without a star need only be contained.
fn within(field: Field) -> bool {
    matches!(field, Field::Path | Field::Error)
}

impl Filters {
    pub(crate) fn of(filters: &[Filter]) -> Self {
        let mut all = Self::default();
        for filter in filters {
            let facet::Condition { expression, exact } = condition(filter.field, &filter.condition);
            match (filter.excluded, exact) {
                (false, _) => all.expressions.push(expression),
                (true, true) => all.expressions.push(format!("NOT ({expression})")),
                // What only may hold must not exclude anything.
                (true, false) => {}
            }
            if !exact {
                all.unsure.push(filter.clone());
            }
        }
        all
    }
}

fn condition(field: Field, condition: &Condition) -> facet::Condition {
    let attribute = attribute(field);
    let expression = match condition {
        Condition::Matches(patterns) => return any(attribute, patterns, within(field)),
        Condition::Number { min, max } => {
            let bound = |bound: &Option<u64>| bound.map(|bound| bound.min(LARGEST).to_string());
            between(attribute, bound(min), bound(max))
        }
        Condition::Time { from, to } => {
            let bound =
                |bound: &Option<verbatim_core::model::Timestamp>| bound.map(|at| at.as_unix_us().to_string());
            between(attribute, bound(from), bound(to))
        }
        Condition::Outcomes(outcomes) => one_of(attribute, outcomes.iter().map(|outcome| outcome.as_str())),
        Condition::Dialects(dialects) => one_of(attribute, dialects.iter().map(|dialect| dialect.as_str())),
        Condition::Is(yes) => format!("{attribute} = {yes}"),
        Condition::Id(id) => format!("{attribute} = \"{id}\""),
    };
    facet::Condition { expression, exact: true }
}

fn any(attribute: &str, patterns: &[Pattern], within: bool) -> facet::Condition {
    let conditions: Vec<_> =
        patterns.iter().map(|pattern| facet::condition(attribute, pattern, within)).collect();
    let exact = conditions.iter().all(|condition| condition.exact);
    let expressions: Vec<_> =
        conditions.into_iter().map(|condition| format!("({})", condition.expression)).collect();
    facet::Condition { expression: format!("({})", expressions.join(" OR ")), exact }
}

fn between(attribute: &str, min: Option<String>, max: Option<String>) -> String {
    let bounds =
        [min.map(|min| format!("{attribute} >= {min}")), max.map(|max| format!("{attribute} <= {max}"))];
    bounds.into_iter().flatten().collect::<Vec<_>>().join(" AND ")
}

/// The names are ours: letters, dashes and underscores.
fn one_of(attribute: &str, names: impl Iterator<Item = &'static str>) -> String {
    let names: Vec<_> = names.map(|name| format!("\"{name}\"")).collect();
    format!("{attribute} IN [{}]", names.join(", "))
}

/// Whether a filter that Meilisearch is not sure of holds. `pieces` are those of its column in the document.
pub(crate) fn holds(filter: &Filter, pieces: &[String]) -> bool {
    let found = match &filter.condition {
        Condition::Matches(patterns) => {
            patterns.iter().any(|pattern| facet::holds(pieces, pattern, within(filter.field)))
        }
        // Of all others Meilisearch is sure.
        _ => true,
    };
    found != filter.excluded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use verbatim_core::model::Timestamp;
    use verbatim_core::model::query::parse;

    use super::*;

    fn filters(query: &str) -> Filters {
        Filters::of(&parse(query, Timestamp::from_unix_ms(1_795_300_000_000)).unwrap().filters)
    }

    #[test]
    fn every_filter_has_its_expression() {
        for (query, expected) in [
            ("model:gpt-4o", r#"((model = "^gpt-4o$"))"#),
            ("model:gpt*,o3", r#"((model STARTS WITH "^gpt") OR (model = "^o3$"))"#),
            ("-provider:openai", r#"NOT (((provider = "^openai$")))"#),
            ("app:\"my app\"", r#"((app = "^my<)!>app$"))"#),
            ("project:*x*", r#"((project CONTAINS "x"))"#),
            ("key:k owner:o", r#"((key = "^k$")) ((owner = "^o$"))"#),
            ("session:s tag:t", r#"((session = "^s$")) ((tag = "^t$"))"#),
            ("method:post", r#"((method = "^post$"))"#),
            ("path:messages", r#"((path CONTAINS "messages"))"#),
            ("error:*later", r#"((error CONTAINS "later$"))"#),
            ("status:4xx", "status >= 400 AND status <= 499"),
            ("-status:>200", "NOT (status >= 201)"),
            ("tokens:<10k", "tokens <= 9999"),
            ("cost:0.02", "cost >= 20000 AND cost <= 20000"),
            ("duration:>2s", "duration >= 2000001"),
            ("outcome:completed,refused", r#"outcome IN ["completed", "refused"]"#),
            ("dialect:anthropic", r#"dialect IN ["anthropic"]"#),
            ("stream:true -has:tool has:error", "stream = true NOT (has_tool = true) has_error = true"),
            ("after:2026-11-20", "began >= 1795132800000000"),
            ("id:0193a4c2-7b1e-7f02-9c1d-5a0b6c1f2e77", r#"id = "0193a4c2-7b1e-7f02-9c1d-5a0b6c1f2e77""#),
        ] {
            assert_eq!(filters(query).expressions.join(" "), expected, "{query}");
        }
    }

    #[test]
    fn what_is_not_sure_is_asked_again_and_excludes_nothing_by_itself() {
        let wanted = filters("model:g*4*o");
        assert_eq!(wanted.expressions.len(), 1);
        assert_eq!(wanted.unsure.len(), 1);
        assert!(holds(&wanted.unsure[0], &facet::pieces("gpt-4o")));
        assert!(!holds(&wanted.unsure[0], &facet::pieces("gpo-4")));
        let excluded = filters("-model:g*4*o");
        assert!(excluded.expressions.is_empty());
        assert!(holds(&excluded.unsure[0], &facet::pieces("gpo-4")));
        assert!(holds(&excluded.unsure[0], &[]), "what is not known is not the excluded one");
    }

    #[test]
    fn numbers_stay_within_what_meilisearch_keeps() {
        let text = format!("tokens:>{}", u64::MAX - 1);
        assert_eq!(filters(&text).expressions, [format!("tokens >= {LARGEST}")]);
    }

    proptest! {
        #[test]
        fn hostile_values_stay_within_their_quotes(value in "\\PC{1,30}") {
            let pattern = Pattern { runs: value.split('*').map(str::to_owned).collect() };
            let filter = Filter { field: Field::App, condition: Condition::Matches(vec![pattern]), excluded: false };
            let filters = Filters::of(&[filter]);
            let outside: String = filters.expressions[0].split('"').step_by(2).collect();
            let words = ["app", "=", "EXISTS", "STARTS", "WITH", "CONTAINS", "AND", "(", ")", " "];
            let rest = words.iter().fold(outside, |rest, word| rest.replace(word, ""));
            prop_assert_eq!(rest, "");
        }
    }
}
