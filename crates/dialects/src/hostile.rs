//! Exchanges of every dialect with anybody's texts in them.

use proptest::prelude::*;
use verbatim_core::model::ProviderDialect;

use crate::golden::Golden;
use crate::{Reading, estimate, text};

/// The folders of golden exchanges, and who speaks so.
const DIALECTS: [(ProviderDialect, &str); 7] = [
    (ProviderDialect::Openai, "openai_chat"),
    (ProviderDialect::Openai, "openai_responses"),
    (ProviderDialect::Openai, "openai_other"),
    (ProviderDialect::Anthropic, "anthropic"),
    (ProviderDialect::Gemini, "gemini"),
    (ProviderDialect::Ollama, "ollama"),
    (ProviderDialect::Raw, "raw"),
];

/// Puts foreign texts in front of the strings of a body, of about every fourth one: `seed` says of which.
fn with_foreign_strings(body: &[u8], foreign: &[String], seed: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() * 2);
    let mut at = seed;
    for (index, byte) in body.iter().enumerate() {
        out.push(*byte);
        let opens = *byte == b'"' && index > 0 && matches!(body[index - 1], b':' | b' ' | b'[' | b',');
        if opens {
            // Knuth's multiplicative generator: any that spreads will do.
            at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if at >> 62 == 0 {
                out.extend_from_slice(foreign[usize::try_from(at >> 33).unwrap() % foreign.len()].as_bytes());
            }
        }
    }
    out
}

/// Everything that is derived of a reading when it is recorded, searched and shown.
fn use_up(reading: &Reading) {
    let _ = (text::search_texts(reading), text::asked_preview(reading), text::answered_preview(reading));
    let _ = (estimate::usage(reading), reading.tools_called(), reading.finish_reason());
    assert!(serde_json::to_string(reading).is_ok());
}

#[test]
fn an_address_of_data_in_any_script_is_read() {
    let answer = br#"{"choices":[{"message":{"content":"ok"}}]}"#;
    for foreign in ["é".repeat(300), "字".repeat(300), format!("x{}", "😀".repeat(300))] {
        let content = format!(r#"[{{"type":"image_url","image_url":{{"url":"data:{foreign}"}}}}]"#);
        let request = format!(r#"{{"model":"m","messages":[{{"role":"user","content":{content}}}]}}"#);
        let mut golden = Golden::all("openai_chat").remove(0);
        golden.request = request.into_bytes();
        use_up(&golden.read(ProviderDialect::Openai, answer, true));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whole_exchanges_of_every_dialect_with_any_strings_in_them_are_read_without_panic(
        foreign in proptest::collection::vec(
            (
                prop::sample::select(vec![
                    "", "data:", "DATA:image/png", "data:image/png;base64,", "data:;base64", "é", "models/", "text", "error",
                ]),
                r#"[^\x00-\x1f"\\]{0,80}"#,
                0usize..4,
            ).prop_map(|(first, text, times)| format!("{first}{}", text.repeat(times))),
            1..6,
        ),
        seed in any::<u64>(),
    ) {
        for (provider, dialect) in DIALECTS {
            for mut golden in Golden::all(dialect) {
                golden.request = with_foreign_strings(&golden.request, &foreign, seed);
                golden.path.push_str(&foreign[0]);
                let answer = with_foreign_strings(&golden.response, &foreign, seed.rotate_left(17));
                use_up(&golden.read(provider, &answer, golden.complete));
            }
        }
    }
}
