//! A document as Meilisearch holds it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use verbatim_core::model::query::Field;
use verbatim_core::model::{Exchange, SearchDocument};
use verbatim_search_text::columns;

use crate::facet::pieces;
use crate::filter::LARGEST;
use crate::terms;

/// The fields of a document, named as [`SearchDocument::fields`] names them.
pub(crate) const FIELDS: [&str; 6] = ["asked", "answered", "reasoning", "tools", "system", "error"];

/// What is sent. The attributes' names are those that [`settings`](crate::settings) and [`filter`](crate::filter) name.
#[derive(Serialize)]
struct Stored<'a> {
    id: String,
    /// The words that are searched, in one attribute or, where they are very many, in several.
    words: BTreeMap<usize, String>,
    text: Text<'a>,
    /// What is searched beside the text, as it was.
    columns: Vec<&'a str>,
    began: i64,
    outcome: &'static str,
    dialect: &'static str,
    stream: bool,
    has_tool: bool,
    has_error: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u64>,
    #[serde(flatten)]
    facets: Facets,
}

/// The text that snippets are cut from.
#[derive(Serialize)]
struct Text<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    asked: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    answered: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reasoning: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    tools: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    system: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'a str,
}

/// The text columns that filters look at, as [`pieces`] of their values.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Facets {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) model: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) provider: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) app: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) project: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) key: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) owner: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) session: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tag: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) method: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) path: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) error: Vec<String>,
}

impl Facets {
    fn of(exchange: &Exchange) -> Self {
        let caller = &exchange.caller;
        let of = |value: &Option<String>| value.as_deref().map(pieces).unwrap_or_default();
        let served =
            exchange.model_served.as_ref().filter(|served| exchange.model_asked.as_ref() != Some(served));
        let models = exchange.model_asked.iter().chain(served);
        Self {
            model: models.flat_map(|model| pieces(model)).collect(),
            provider: pieces(&exchange.provider),
            app: of(&caller.app),
            project: of(&caller.project),
            key: of(&caller.key),
            owner: of(&caller.owner),
            session: of(&exchange.session),
            tag: exchange.tags.iter().flat_map(|tag| pieces(tag)).collect(),
            method: pieces(&exchange.method),
            path: pieces(&exchange.path),
            error: of(&exchange.error),
        }
    }

    /// The pieces of a column; none of those that are no text.
    pub(crate) fn of_field(&self, field: Field) -> &[String] {
        match field {
            Field::Model => &self.model,
            Field::Provider => &self.provider,
            Field::App => &self.app,
            Field::Project => &self.project,
            Field::Key => &self.key,
            Field::Owner => &self.owner,
            Field::Session => &self.session,
            Field::Tag => &self.tag,
            Field::Method => &self.method,
            Field::Path => &self.path,
            Field::Error => &self.error,
            Field::Dialect
            | Field::Status
            | Field::Outcome
            | Field::Tokens
            | Field::Cost
            | Field::Duration
            | Field::Began
            | Field::Stream
            | Field::HasTool
            | Field::HasError
            | Field::Id => &[],
        }
    }
}

/// The line of JSON for a document. An error is the reason why it can never be indexed.
pub(crate) fn line(document: &SearchDocument) -> Result<Vec<u8>, String> {
    let limit = SearchDocument::FIELD_LIMIT;
    if let Some((field, text)) = document.fields().into_iter().find(|(_, text)| text.len() > limit) {
        return Err(format!("its field {field} has {} bytes: expected at most {limit}", text.len()));
    }
    let exchange = &document.exchange;
    let has_error = exchange.error.as_deref().is_some_and(|error| !error.is_empty())
        || exchange.status.is_some_and(|status| status >= 400);
    let exact = |number: u64| number.min(LARGEST);
    let stored = Stored {
        id: exchange.id.to_string(),
        words: terms::words(document).into_iter().enumerate().collect(),
        text: Text {
            asked: &document.asked,
            answered: &document.answered,
            reasoning: &document.reasoning,
            tools: &document.tools,
            system: &document.system,
            error: &document.error,
        },
        columns: columns(exchange).collect(),
        began: exchange.began_at.as_unix_us(),
        outcome: exchange.outcome.as_str(),
        dialect: exchange.dialect.as_str(),
        stream: exchange.streamed,
        has_tool: !exchange.tools_called.is_empty(),
        has_error,
        status: exchange.status,
        tokens: exchange.usage.total().map(exact),
        cost: exchange.cost_micros.map(exact),
        duration: exchange.duration_us.map(exact),
        facets: Facets::of(exchange),
    };
    let mut line =
        serde_json::to_vec(&stored).map_err(|error| format!("it can't be written as JSON: {error}"))?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use verbatim_testkit::ExchangeBuilder;

    use super::*;

    fn written(document: &SearchDocument) -> Value {
        serde_json::from_slice(&line(document).unwrap()).unwrap()
    }

    #[test]
    fn a_document_has_its_words_its_text_and_its_columns() {
        let document = ExchangeBuilder::new("0193a4c2-7b1e-7f02-9c1d-5a0b6c1f2e77".parse().unwrap())
            .with(|exchange| {
                exchange.status = Some(404);
                exchange.tags = vec!["dark blue".to_owned()];
                exchange.cost_micros = Some(u64::MAX);
            })
            .document("What <b>Weather</b>?", "");
        assert_eq!(
            written(&document),
            json!({
                "id": "0193a4c2-7b1e-7f02-9c1d-5a0b6c1f2e77",
                "words": {"0": "11 20 2024 4o b blue chat completions dark gpt v1 weather what"},
                "columns": ["gpt-4o", "gpt-4o-2024-11-20", "/v1/chat/completions", "dark blue"],
                "text": {"asked": "What <b>Weather</b>?"},
                "began": 1_733_636_029_214_000_i64,
                "outcome": "completed",
                "dialect": "openai-chat",
                "stream": false,
                "has_tool": false,
                "has_error": true,
                "status": 404,
                "tokens": 30,
                "cost": LARGEST,
                "duration": 1_000_000,
                "model": ["^gpt-4o$", "^gpt-4o-2024-11-20$"],
                "provider": ["^openai$"],
                "tag": ["^dark<)!>blue$"],
                "method": ["^post$"],
                "path": ["^/v1/chat/completions$"],
            })
        );
    }

    #[test]
    fn every_field_has_its_name() {
        let document = ExchangeBuilder::minted().document("", "");
        assert_eq!(document.fields().map(|(name, _)| name), FIELDS);
    }

    #[test]
    fn any_text_is_one_line() {
        let document = ExchangeBuilder::minted().document("a\nb\0c\u{2028}\"\\", "\r\n");
        let line = line(&document).unwrap();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(written(&document)["text"]["asked"], "a\nb\0c\u{2028}\"\\");
    }

    #[test]
    fn a_field_that_is_too_large_is_the_reason() {
        let document = ExchangeBuilder::minted().document("", &"x".repeat(SearchDocument::FIELD_LIMIT + 1));
        assert!(line(&document).unwrap_err().contains("answered has 65537 bytes"));
    }
}
