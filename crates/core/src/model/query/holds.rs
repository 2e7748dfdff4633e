//! Whether a filter holds of an exchange that is at hand: what a store does in its own language.

use super::super::Exchange;
use super::{Condition, Field, Filter, Pattern};

impl Pattern {
    /// Whether it matches the whole of `text`, without regard to case.
    pub fn matches(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let mut rest = text.as_str();
        let last = self.runs.len().saturating_sub(1);
        for (index, run) in self.runs.iter().enumerate() {
            let run = run.to_lowercase();
            if index == 0 && index == last {
                return rest == run;
            }
            if index == 0 {
                let Some(after) = rest.strip_prefix(&run) else { return false };
                rest = after;
            } else if index == last {
                return rest.ends_with(&run);
            } else {
                let Some(at) = rest.find(&run) else { return false };
                rest = &rest[at + run.len()..];
            }
        }
        true
    }

    /// Whether it matches, or, without a star, is contained in `text`.
    fn matches_within(&self, text: &str) -> bool {
        match self.exact() {
            Some(part) => text.to_lowercase().contains(&part.to_lowercase()),
            None => self.matches(text),
        }
    }
}

impl Filter {
    /// Whether it holds. A column that is not known satisfies only an excluded filter.
    pub fn holds(&self, exchange: &Exchange) -> bool {
        self.condition_holds(exchange) != self.excluded
    }

    fn condition_holds(&self, exchange: &Exchange) -> bool {
        match &self.condition {
            Condition::Matches(patterns) => {
                patterns.iter().any(|pattern| text_holds(self.field, pattern, exchange))
            }
            Condition::Number { min, max } => number_of(self.field, exchange).is_some_and(|number| {
                min.is_none_or(|min| number >= min) && max.is_none_or(|max| number <= max)
            }),
            Condition::Time { from, to } => {
                self.field == Field::Began
                    && from.is_none_or(|from| exchange.began_at >= from)
                    && to.is_none_or(|to| exchange.began_at <= to)
            }
            Condition::Outcomes(outcomes) => {
                self.field == Field::Outcome && outcomes.contains(&exchange.outcome)
            }
            Condition::Dialects(dialects) => {
                self.field == Field::Dialect && dialects.contains(&exchange.dialect)
            }
            Condition::Is(yes) => is(self.field, exchange) == Some(*yes),
            Condition::Id(id) => self.field == Field::Id && exchange.id == *id,
        }
    }
}

fn text_holds(field: Field, pattern: &Pattern, exchange: &Exchange) -> bool {
    let caller = &exchange.caller;
    let whole = |text: Option<&str>| text.is_some_and(|text| pattern.matches(text));
    match field {
        Field::Model => whole(exchange.model_asked.as_deref()) || whole(exchange.model_served.as_deref()),
        Field::Provider => whole(Some(&exchange.provider)),
        Field::App => whole(caller.app.as_deref()),
        Field::Project => whole(caller.project.as_deref()),
        Field::Key => whole(caller.key.as_deref()),
        Field::Owner => whole(caller.owner.as_deref()),
        Field::Session => whole(exchange.session.as_deref()),
        Field::Method => whole(Some(&exchange.method)),
        Field::Tag => exchange.tags.iter().any(|tag| pattern.matches(tag)),
        Field::Path => pattern.matches_within(&exchange.path),
        Field::Error => exchange.error.as_deref().is_some_and(|error| pattern.matches_within(error)),
        _ => false,
    }
}

fn number_of(field: Field, exchange: &Exchange) -> Option<u64> {
    match field {
        Field::Status => exchange.status.map(u64::from),
        Field::Tokens => exchange.usage.total(),
        Field::Cost => exchange.cost_micros,
        Field::Duration => exchange.duration_us,
        _ => None,
    }
}

fn is(field: Field, exchange: &Exchange) -> Option<bool> {
    match field {
        Field::Stream => Some(exchange.streamed),
        Field::HasTool => Some(!exchange.tools_called.is_empty()),
        Field::HasError => Some(
            exchange.error.as_deref().is_some_and(|error| !error.is_empty())
                || exchange.status.is_some_and(|status| status >= 400),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern { runs: text.split('*').map(str::to_owned).collect() }
    }

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        assert!(pattern("gpt-4o*").matches("GPT-4o-mini"));
        assert!(pattern("*mini").matches("gpt-4o-mini"));
        assert!(pattern("g*4*i").matches("gpt-4o-mini"));
        assert!(pattern("*").matches(""));
        assert!(!pattern("gpt").matches("gpt-4o"));
        assert!(!pattern("ab*ba").matches("aba"));
    }

    #[test]
    fn without_a_star_the_whole_must_be_equal_or_contained() {
        assert!(!pattern("chat").matches("/v1/chat"));
        assert!(pattern("CHAT").matches_within("/v1/chat"));
        assert!(!pattern("chat*").matches_within("/v1/chat"));
    }
}
