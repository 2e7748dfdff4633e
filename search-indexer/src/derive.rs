//! From the bytes of an exchange to what is searched of it.

use verbatim_core::model::{Exchange, ExchangeHeads, LegBody, SearchDocument};
use verbatim_dialects::{ExchangeView, skim, text};

/// Derives the document of an exchange from its columns, its heads and its bodies, as far as they are there. Pure and
/// total; every field is within its limit.
pub fn document(exchange: Exchange, heads: &ExchangeHeads, bodies: &[LegBody]) -> SearchDocument {
    let reading = skim(&ExchangeView::of(&exchange, heads, bodies));
    let texts = text::search_texts(&reading);
    // What the recorder says went wrong (a timeout, a refusal) is not in the bytes.
    let told = exchange.error.as_deref().filter(|told| !texts.error.contains(told)).unwrap_or_default();
    let between = if texts.error.is_empty() || told.is_empty() { "" } else { "\n" };
    let error = within(format!("{}{between}{told}", texts.error), SearchDocument::FIELD_LIMIT);
    SearchDocument {
        exchange,
        asked: within(texts.asked, SearchDocument::FIELD_LIMIT),
        answered: within(texts.answered, SearchDocument::FIELD_LIMIT),
        reasoning: within(texts.reasoning, SearchDocument::FIELD_LIMIT),
        tools: within(texts.tools, SearchDocument::FIELD_LIMIT),
        system: within(texts.system, SearchDocument::SYSTEM_LIMIT),
        error,
    }
}

/// Cut to a limit of bytes, on a character boundary.
fn within(mut text: String, limit: usize) -> String {
    text.truncate(text.floor_char_boundary(limit));
    text
}

#[cfg(test)]
mod tests {
    use verbatim_core::model::{ExchangeRecord, Leg, Outcome};
    use verbatim_testkit::ExchangeBuilder;

    use super::*;

    fn derived(record: &ExchangeRecord) -> SearchDocument {
        document(record.exchange.clone(), &record.heads, &record.bodies)
    }

    const REQUEST: &str = r#"{"model":"gpt-4o","messages":[
        {"role":"system","content":"You are terse."},
        {"role":"user","content":"an old question"},
        {"role":"assistant","content":"an old answer"},
        {"role":"user","content":"北京的天气？"}]}"#;
    const RESPONSE: &str = r#"{"id":"c-1","object":"chat.completion","model":"gpt-4o","choices":[{"index":0,
        "message":{"role":"assistant","content":"Sunny.","tool_calls":[{"id":"t","type":"function",
        "function":{"name":"get_weather","arguments":"{\"city\":\"Beijing\"}"}}]},"finish_reason":"stop"}]}"#;

    #[test]
    fn only_the_new_turn_is_searched() {
        let document = derived(&ExchangeBuilder::minted().request(REQUEST).response(RESPONSE).build());
        assert_eq!(document.asked, "北京的天气？");
        assert_eq!(document.answered, "Sunny.");
        assert_eq!(document.system, "You are terse.");
        assert!(document.tools.contains("get_weather") && document.tools.contains("Beijing"));
        assert_eq!(document.error, "");
    }

    #[test]
    fn what_is_not_in_the_bytes_comes_from_the_columns() {
        let builder = ExchangeBuilder::minted().request(REQUEST).with(|exchange| {
            exchange.status = None;
            exchange.outcome = Outcome::TimedOut;
            exchange.error = Some("no first byte within 60 s".to_owned());
        });
        let document = derived(&builder.with_heads(|heads| heads.response = None).build());
        assert_eq!(document.error, "no first byte within 60 s");
        assert_eq!(document.asked, "北京的天气？");
    }

    #[test]
    fn without_bodies_there_are_still_the_columns() {
        let document = derived(&ExchangeBuilder::minted().build());
        assert_eq!(document.asked, "");
        assert_eq!(document.exchange.model(), Some("gpt-4o-2024-11-20"));
    }

    #[test]
    fn fields_are_cut_on_a_character() {
        let long = "字".repeat(40_000);
        let request = REQUEST.replace("北京的天气？", &long).replace("You are terse.", &long);
        let document = derived(
            &ExchangeBuilder::minted().request(request).with(|exchange| exchange.error = Some(long)).build(),
        );
        for (field, text) in document.fields() {
            let limit =
                if field == "system" { SearchDocument::SYSTEM_LIMIT } else { SearchDocument::FIELD_LIMIT };
            assert!(text.len() <= limit, "{field}");
        }
        assert!(document.asked.len() > SearchDocument::FIELD_LIMIT - 4);
    }

    #[test]
    fn the_leg_that_speaks_the_providers_language_is_read() {
        let record = ExchangeBuilder::minted()
            .request("{}")
            .body(Leg::UpstreamRequest, REQUEST, Default::default())
            .response(RESPONSE)
            .build();
        assert_eq!(derived(&record).asked, "北京的天气？");
    }
}
