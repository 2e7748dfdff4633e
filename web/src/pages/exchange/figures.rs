//! The figures of one exchange, below its conversation.

use verbatim_core::model::{Exchange, Leg};

use crate::reading::Loaded;
use crate::text::Text;
use crate::view::format;

/// Name and value of every figure that is known.
pub(super) fn figures(t: &'static Text, loaded: &Loaded) -> Vec<(&'static str, String)> {
    let exchange = &loaded.exchange;
    let usage = &exchange.usage;
    let mut out: Vec<(&'static str, String)> = Vec::new();
    let mut add = |name, value: Option<String>| out.extend(value.map(|value| (name, value)));
    add(t.tokens, tokens(t, exchange));
    add(
        t.cost_of,
        exchange.cost_micros.map(|micros| {
            let from = match exchange.price_version.as_deref() {
                Some("provider") => format!(" · {}", t.cost_stated),
                Some(version) => format!(" · {} {version}", t.prices_of),
                None => String::new(),
            };
            format!("{}{}{from}", format::cost(micros), format::mark(usage))
        }),
    );
    let equal =
        loaded.bodies.stored().all(|body| matches!(body.info.leg, Leg::ClientRequest | Leg::ClientResponse));
    add(
        t.relay,
        exchange.relay_us.map(|us| {
            let equal = if equal { format!(" · {}", t.all_equal) } else { String::new() };
            format!("{} {}{equal}", format::duration(us), t.added)
        }),
    );
    add(t.finish, exchange.finish_reason.clone());
    add(t.provider, Some(exchange.provider.clone()));
    add(t.dialect, Some(exchange.dialect.to_string()));
    add(t.path, Some(format!("{} {}", exchange.method, exchange.path)));
    add(t.request_id, exchange.provider_request_id.clone());
    add(t.trace, exchange.trace_id.clone());
    add(t.client, exchange.caller.client_address.clone());
    add(t.tags, Some(exchange.tags.join(", ")).filter(|tags| !tags.is_empty()));
    out
}

fn tokens(t: &Text, exchange: &Exchange) -> Option<String> {
    let usage = &exchange.usage;
    let input = usage.input_tokens?;
    let mut inside = Vec::new();
    for (count, word) in [(usage.cache_read_tokens, t.cached), (usage.cache_write_tokens, t.cache_written)] {
        inside
            .extend(count.filter(|count| *count > 0).map(|count| format!("{} {word}", format::count(count))));
    }
    let inside = if inside.is_empty() { String::new() } else { format!(" ({})", inside.join(", ")) };
    let reasoning = usage.reasoning_tokens.filter(|count| *count > 0);
    let reasoning = reasoning
        .map(|count| format!(" ({} {})", format::count(count), t.reasoning_tokens))
        .unwrap_or_default();
    let from = if format::mark(usage).is_empty() { t.from_provider } else { t.estimated };
    Some(format!(
        "{} {}{inside} · {} {}{reasoning} · {from}{}",
        format::count(input),
        t.input,
        format::count_or(usage.output_tokens),
        t.output,
        format::mark(usage)
    ))
}
