//! What tokens cost.
//!
//! Prices are facts published in the litellm package 1.106.2 (MIT licence), of November 2026.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;
use verbatim_core::model::Usage;

/// Prices of one model, in US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Price {
    input: f64,
    output: f64,
    cache_read: Option<f64>,
    cache_write: Option<f64>,
    reasoning: Option<f64>,
}

/// A cost, and what it was counted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Millionths of a US dollar, rounded.
    pub(crate) micros: u64,
    /// The price table's version, or `provider`.
    pub(crate) version: String,
}

struct Table {
    version: String,
    models: HashMap<String, Price>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let file: Value =
        serde_json::from_str(include_str!("table.json")).expect("a test reads the embedded table");
    let models = file["models"].as_object().into_iter().flatten();
    Table {
        version: file["version"].as_str().unwrap_or_default().to_owned(),
        models: models.filter_map(|(name, price)| Some((name.to_lowercase(), read_price(price)?))).collect(),
    }
});

fn read_price(entry: &Value) -> Option<Price> {
    let at = |index: usize| entry.get(index).and_then(Value::as_f64);
    Some(Price { input: at(0)?, output: at(1)?, cache_read: at(2), cache_write: at(3), reasoning: at(4) })
}

/// What an exchange cost: as the provider stated it, else by the table; `None` where model or usage is unknown.
pub(crate) fn cost(provider: &str, models: [Option<&str>; 2], usage: &Usage) -> Option<Cost> {
    if let Some(micros) = usage.stated_cost_micros {
        return Some(Cost { micros, version: "provider".to_owned() });
    }
    let price = models.into_iter().flatten().find_map(|model| find(provider, model))?;
    Some(Cost { micros: price.micros(usage)?, version: TABLE.version.clone() })
}

impl Price {
    fn micros(&self, usage: &Usage) -> Option<u64> {
        if usage.input_tokens.is_none() && usage.output_tokens.is_none() {
            return None;
        }
        let (read, write) = (usage.cache_read_tokens.unwrap_or(0), usage.cache_write_tokens.unwrap_or(0));
        let fresh = usage.input_tokens.unwrap_or(0).saturating_sub(read).saturating_sub(write);
        let output = usage.output_tokens.unwrap_or(0);
        let reasoning = usage.reasoning_tokens.unwrap_or(0).min(output);
        // Dollars per million tokens times tokens is millionths of a dollar.
        let micros = fresh as f64 * self.input
            + read as f64 * self.cache_read.unwrap_or(self.input)
            + write as f64 * self.cache_write.unwrap_or(self.input)
            + (output - reasoning) as f64 * self.output
            + reasoning as f64 * self.reasoning.unwrap_or(self.output);
        Some(micros.round() as u64)
    }
}

/// The price of a model as a provider names it: as it stands, under the provider's name, without its version's
/// date, without `models/` or a variant such as `:free`, without the maker's name before the last slash.
fn find(provider: &str, model: &str) -> Option<Price> {
    let model = model.to_lowercase();
    let model = model.strip_prefix("models/").unwrap_or(&model);
    let bare = model.rsplit_once(':').map_or(model, |(name, _)| name);
    let look = |name: &str| {
        TABLE.models.get(&format!("{provider}/{name}")).or_else(|| TABLE.models.get(name)).copied()
    };
    let last = bare.rsplit('/').next().unwrap_or(bare);
    [model, bare, without_date(bare), last, without_date(last)].into_iter().find_map(look)
}

/// `gpt-4o-2024-07-18` and `claude-x-20250929` without their dates.
fn without_date(model: &str) -> &str {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((name, date)) = model.rsplit_once('-')
        && date.len() == 8
        && is_digits(date)
    {
        return name;
    }
    let mut parts = model.rsplitn(4, '-');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(day), Some(month), Some(year), Some(name))
            if day.len() == 2
                && month.len() == 2
                && year.len() == 4
                && [day, month, year].into_iter().all(is_digits) =>
        {
            name
        }
        _ => model,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, output: u64) -> Usage {
        Usage { input_tokens: Some(input), output_tokens: Some(output), ..Usage::default() }
    }

    #[test]
    fn the_embedded_table_is_read_whole() {
        assert_eq!(TABLE.models.len(), 1_900);
        assert!(!TABLE.version.is_empty());
    }

    #[test]
    fn a_dated_model_costs_what_its_name_does() {
        let dated =
            cost("openai", [Some("gpt-4o-mini-2024-07-18"), None], &usage(1_000_000, 1_000_000)).unwrap();
        let plain = cost("openai", [Some("gpt-4o-mini"), None], &usage(1_000_000, 1_000_000)).unwrap();
        assert_eq!(dated, plain);
        assert_eq!(plain.micros, 750_000);
    }

    #[test]
    fn an_unlisted_snapshot_falls_back_to_its_model() {
        assert!(cost("openai", [Some("gpt-4o-mini-2031-01-02"), None], &usage(1, 1)).is_some());
        assert!(cost("anthropic", [Some("claude-sonnet-4-5-20991231"), None], &usage(1, 1)).is_some());
        assert!(cost("x", [Some("models/gemini-2.5-flash"), None], &usage(1, 1)).is_some());
    }

    #[test]
    fn cached_input_is_counted_once_and_at_its_own_price() {
        let cached = Usage { cache_read_tokens: Some(1_000_000), ..usage(1_000_000, 0) };
        let all_cached = cost("openai", [Some("gpt-4o-mini"), None], &cached).unwrap();
        assert_eq!(all_cached.micros, 75_000);
    }

    #[test]
    fn a_stated_cost_wins_and_the_unknown_has_none() {
        let stated = Usage { stated_cost_micros: Some(42), ..usage(1, 1) };
        let cost_of = cost("openrouter", [Some("no-such-model"), None], &stated).unwrap();
        assert_eq!(cost_of, Cost { micros: 42, version: "provider".to_owned() });
        assert_eq!(cost("openai", [Some("no-such-model"), None], &usage(1, 1)), None);
        assert_eq!(cost("openai", [Some("gpt-4o"), None], &Usage::default()), None);
    }
}
