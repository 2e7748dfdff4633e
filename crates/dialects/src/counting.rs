//! Usage as OpenAI's language tells it, and what other providers made of it.

use serde_json::Value;
use verbatim_core::model::{Provenance, Usage};

use crate::json::{Object, ObjectExt};

/// Usage under OpenAI's names, old (`prompt_tokens`) or new (`input_tokens`); `None` if nothing is told.
pub(crate) fn openai(usage: &Object) -> Option<Usage> {
    let first = |keys: &[&str]| keys.iter().find_map(|key| usage.count(key));
    let detail = |of: &[&str], keys: &[&str]| {
        of.iter()
            .filter_map(|of| usage.object(of))
            .find_map(|details| keys.iter().find_map(|key| details.count(key)))
    };
    const INPUT: &[&str] = &["prompt_tokens_details", "input_tokens_details", "input_token_details"];
    const OUTPUT: &[&str] = &["completion_tokens_details", "output_tokens_details", "output_token_details"];
    let input = first(&["prompt_tokens", "input_tokens"]);
    let mut output = first(&["completion_tokens", "output_tokens"]);
    let total = first(&["total_tokens"]);
    let reasoning = detail(OUTPUT, &["reasoning_tokens"]).or_else(|| first(&["reasoning_tokens"]));
    if let (Some(input), Some(out), Some(total), Some(reasoning)) = (input, output, total, reasoning)
        && reasoning > 0
        && input.saturating_add(out).saturating_add(reasoning) == total
    {
        // xAI's chat completions leave reasoning out of the output.
        output = Some(out + reasoning);
    }
    known(Usage {
        input_tokens: input,
        output_tokens: output,
        total_tokens: total,
        cache_read_tokens: detail(INPUT, &["cached_tokens"]).or_else(|| {
            first(&[
                "prompt_cache_hit_tokens",
                "cached_tokens",
                "num_cached_tokens",
                "cache_read_input_tokens",
            ])
        }),
        cache_write_tokens: detail(INPUT, &["cache_write_tokens", "cache_creation_tokens"])
            .or_else(|| first(&["cache_creation_input_tokens"])),
        reasoning_tokens: reasoning,
        provenance: None,
        stated_cost_micros: stated_cost(usage),
    })
}

/// Says where a usage comes from and totals it; `None` if it tells nothing.
pub(crate) fn known(mut usage: Usage) -> Option<Usage> {
    if usage == Usage::default() {
        return None;
    }
    usage.total_tokens = usage.total();
    usage.provenance = Some(Provenance::Provider);
    Some(usage)
}

/// The cost that a provider states, in millionths of a US dollar: OpenRouter's `cost`, Perplexity's
/// `cost.total_cost`, DeepInfra's `estimated_cost` in dollars; xAI's ticks are 10^-10 dollars, and zero of them where
/// somebody else bills (Azure).
fn stated_cost(usage: &Object) -> Option<u64> {
    let number = |object: &Object, key: &str| object.get(key).and_then(Value::as_f64);
    let dollars = match usage.get("cost") {
        Some(Value::Object(cost)) => number(cost, "total_cost"),
        Some(cost) => {
            // With a key of the caller's own, OpenRouter bills its fee, and the provider the rest.
            let own_key = usage.object("cost_details").filter(|_| usage.flag("is_byok"));
            let upstream =
                own_key.and_then(|details| number(details, "upstream_inference_cost")).unwrap_or(0.0);
            cost.as_f64().map(|fee| fee + upstream)
        }
        None => number(usage, "estimated_cost"),
    };
    let ticks = || number(usage, "cost_in_usd_ticks").filter(|ticks| *ticks > 0.0);
    let micros = dollars.map(|dollars| dollars * 1e6).or_else(|| ticks().map(|ticks| ticks / 1e4))?;
    (0.0..1e15).contains(&micros).then(|| micros.round() as u64)
}

/// Takes back what a stream that broke off can't have told: its output was still growing.
pub(crate) fn without_output(usage: Usage) -> Option<Usage> {
    known(Usage {
        output_tokens: None,
        total_tokens: None,
        reasoning_tokens: None,
        stated_cost_micros: None,
        provenance: None,
        ..usage
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(usage: Value) -> Usage {
        let Value::Object(usage) = usage else { panic!("no object") };
        openai(&usage).unwrap()
    }

    #[test]
    fn cached_and_reasoning_tokens_are_told_apart() {
        let usage = read(json!({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 64}, "completion_tokens_details": {"reasoning_tokens": 30}}));
        assert_eq!(
            (usage.input_tokens, usage.output_tokens, usage.total_tokens),
            (Some(100), Some(50), Some(150))
        );
        assert_eq!((usage.cache_read_tokens, usage.reasoning_tokens), (Some(64), Some(30)));
        assert_eq!(
            read(json!({"prompt_tokens": 9, "prompt_cache_hit_tokens": 4})).cache_read_tokens,
            Some(4)
        );
        assert_eq!(read(json!({"prompt_tokens": 9, "cached_tokens": 4})).cache_read_tokens, Some(4));
    }

    #[test]
    fn reasoning_that_is_left_out_of_the_output_is_added() {
        let usage = read(json!({"prompt_tokens": 291, "completion_tokens": 26, "total_tokens": 506,
            "completion_tokens_details": {"reasoning_tokens": 189}}));
        assert_eq!((usage.output_tokens, usage.total_tokens), (Some(215), Some(506)));
    }

    #[test]
    fn a_stated_cost_is_in_millionths_of_a_dollar() {
        assert_eq!(read(json!({"cost": 0.00125})).stated_cost_micros, Some(1250));
        assert_eq!(read(json!({"cost": {"total_cost": 0.006}})).stated_cost_micros, Some(6000));
        assert_eq!(read(json!({"cost_in_usd_ticks": 4_890_000})).stated_cost_micros, Some(489));
        assert_eq!(read(json!({"prompt_tokens": 1, "cost_in_usd_ticks": 0})).stated_cost_micros, None);
        let own_key =
            json!({"cost": 0.00002, "is_byok": true, "cost_details": {"upstream_inference_cost": 0.0004}});
        assert_eq!(read(own_key).stated_cost_micros, Some(420));
    }

    #[test]
    fn what_is_not_told_is_not_known() {
        assert_eq!(openai(json!({}).as_object().unwrap()), None);
        assert_eq!(openai(json!({"prompt_tokens": null}).as_object().unwrap()), None);
        let usage = read(json!({"prompt_tokens": 5, "total_tokens": 5}));
        assert_eq!((usage.output_tokens, usage.total_tokens), (None, Some(5)));
    }
}
