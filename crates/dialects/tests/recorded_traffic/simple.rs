//! A reader that knows only where each language keeps its most common things.

use serde_json::Value;
use verbatim_core::model::Dialect;
use verbatim_dialects::{Part, Reading};

use crate::recording::Recorded;

/// What a simple reader finds.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Found {
    pub(crate) model: Option<String>,
    pub(crate) finish: Option<String>,
    pub(crate) text: String,
    pub(crate) input: Option<u64>,
    pub(crate) output: Option<u64>,
}

/// All strings at `pointers` over all values, joined.
fn joined(values: &[Value], pointers: &[&str]) -> String {
    let mut text = String::new();
    for value in values {
        for pointer in pointers {
            text.push_str(value.pointer(pointer).and_then(Value::as_str).unwrap_or_default());
        }
    }
    text
}

/// The last value at `pointers` that is a text that is not empty.
fn last(values: &[Value], pointers: &[&str]) -> Option<String> {
    let mut all = values
        .iter()
        .flat_map(|value| pointers.iter().filter_map(|pointer| value.pointer(pointer)?.as_str()));
    all.rfind(|text| !text.is_empty()).map(str::to_owned)
}

fn number(values: &[Value], pointer: &str) -> Option<u64> {
    values.iter().rev().find_map(|value| value.pointer(pointer)?.as_u64())
}

pub(crate) fn simple(recorded: &Recorded) -> Option<Found> {
    let values = recorded.values();
    let texts_of = |list: &Value, kind: &str| -> String {
        list.as_array()
            .into_iter()
            .flatten()
            .filter(|part| part["type"] == kind)
            .filter_map(|part| part["text"].as_str())
            .collect()
    };
    Some(match recorded.dialect()? {
        Dialect::OpenaiChat | Dialect::OpenaiOther if recorded.api.ends_with("completions") => {
            let mut text = joined(&values, &["/choices/0/message/content", "/choices/0/text"]);
            for value in
                values.iter().filter(|value| value.pointer("/choices/0/index").is_none_or(|index| index == 0))
            {
                text.push_str(
                    value.pointer("/choices/0/delta/content").and_then(Value::as_str).unwrap_or_default(),
                );
                for pointer in ["/choices/0/delta/content", "/choices/0/message/content"] {
                    text.push_str(&texts_of(value.pointer(pointer).unwrap_or(&Value::Null), "text"));
                }
            }
            let usage: Vec<Value> = values
                .iter()
                .flat_map(|value| [value.pointer("/usage"), value.pointer("/x_groq/usage")])
                .flatten()
                .filter(|usage| usage.is_object())
                .cloned()
                .collect();
            let mut output = number(&usage, "/completion_tokens");
            if recorded.provider == "xai"
                || last(&values, &["/model"]).is_some_and(|model| model.starts_with("grok"))
            {
                output = output.map(|out| {
                    out + number(&usage, "/completion_tokens_details/reasoning_tokens").unwrap_or(0)
                });
            }
            Found {
                model: last(&values, &["/model"]),
                finish: last(&values, &["/choices/0/finish_reason"]),
                text,
                input: number(&usage, "/prompt_tokens"),
                output,
            }
        }
        Dialect::OpenaiOther if recorded.api == "embeddings" => Found {
            model: last(&values, &["/model"]),
            input: number(&values, "/usage/prompt_tokens"),
            output: number(&values, "/usage/completion_tokens"),
            ..Found::default()
        },
        Dialect::OpenaiResponses => {
            let end = values.last()?;
            let response = end.get("response").unwrap_or(end);
            let output = response["output"].as_array().cloned().unwrap_or_default();
            let status =
                response["status"].as_str().filter(|status| *status != "in_progress").map(str::to_owned);
            Found {
                model: response["model"].as_str().map(str::to_owned),
                finish: response
                    .pointer("/incomplete_details/reason")
                    .and_then(Value::as_str)
                    .map(str::to_owned)
                    .or(status),
                text: output.iter().map(|item| texts_of(&item["content"], "output_text")).collect(),
                input: response.pointer("/usage/input_tokens").and_then(Value::as_u64),
                output: response.pointer("/usage/output_tokens").and_then(Value::as_u64),
            }
        }
        Dialect::Anthropic => {
            let input = |key: &str| {
                number(&values, &format!("/usage/{key}"))
                    .or_else(|| number(&values, &format!("/message/usage/{key}")))
            };
            let uncached = input("input_tokens").or_else(|| number(&values, "/input_tokens"));
            let cached = input("cache_read_input_tokens").unwrap_or(0)
                + input("cache_creation_input_tokens").unwrap_or(0);
            Found {
                model: last(&values, &["/model", "/message/model"]),
                finish: last(&values, &["/stop_reason", "/delta/stop_reason"]),
                text: values.iter().map(|value| texts_of(&value["content"], "text")).collect::<String>()
                    + &joined(&values, &["/delta/text", "/completion"]),
                input: uncached.map(|uncached| uncached + cached),
                output: input("output_tokens"),
            }
        }
        Dialect::Gemini if recorded.api.ends_with("enerateContent") => {
            let parts = values
                .iter()
                .flat_map(|value| value.pointer("/candidates/0/content/parts")?.as_array())
                .flatten();
            let usage =
                values.iter().rev().find_map(|value| value.get("usageMetadata")).cloned().unwrap_or_default();
            let sum = |one: &str, two: &str| match (usage[one].as_u64(), usage[two].as_u64()) {
                (None, None) => None,
                (one, two) => Some(one.unwrap_or(0) + two.unwrap_or(0)),
            };
            let finish = values.iter().rev().find_map(|value| value.pointer("/candidates/0/finishReason"));
            let blocked =
                values.iter().rev().find_map(|value| value.pointer("/promptFeedback/blockReason")?.as_str());
            let input = sum("promptTokenCount", "toolUsePromptTokenCount");
            Found {
                model: last(&values, &["/modelVersion"]),
                finish: match finish {
                    Some(Value::Number(number)) => Some(
                        ["", "STOP", "MAX_TOKENS"][usize::try_from(number.as_u64()?).unwrap()].to_owned(),
                    ),
                    Some(reason) => reason.as_str().map(str::to_owned),
                    None => blocked.map(str::to_owned),
                },
                text: parts
                    .filter(|part| part["thought"] != true)
                    .filter_map(|part| part["text"].as_str())
                    .collect(),
                input,
                output: sum("candidatesTokenCount", "thoughtsTokenCount")
                    .or_else(|| Some(usage["totalTokenCount"].as_u64()? - input?)),
            }
        }
        Dialect::Ollama => Found {
            model: last(&values, &["/model"]),
            finish: last(&values, &["/done_reason"]),
            text: joined(&values, &["/message/content", "/response"]),
            input: number(&values, "/prompt_eval_count"),
            output: number(&values, "/eval_count"),
        },
        _ => return None,
    })
}

/// The same of a reading.
pub(crate) fn found(reading: &Reading) -> Found {
    let parts = reading.answer.choices.first().map(|choice| choice.parts.as_slice()).unwrap_or_default();
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.text.as_str()),
        _ => None,
    });
    Found {
        model: reading.model_served.clone(),
        finish: reading.finish_reason().map(str::to_owned),
        text: texts.collect(),
        input: reading.usage.and_then(|usage| usage.input_tokens),
        output: reading.usage.and_then(|usage| usage.output_tokens),
    }
}
