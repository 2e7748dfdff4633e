//! An exchange as a row: the columns of every format that has columns, in the order in which the API has them.

use std::borrow::Cow;

use verbatim_core::model::{Exchange, Timestamp};

/// How a column's value is got from an exchange, and with it the column's type.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Text(fn(&Exchange) -> Cow<'_, str>),
    MaybeText(fn(&Exchange) -> Option<&str>),
    Texts(fn(&Exchange) -> &[String]),
    Number(fn(&Exchange) -> u64),
    MaybeNumber(fn(&Exchange) -> Option<u64>),
    Flag(fn(&Exchange) -> bool),
    Time(fn(&Exchange) -> Timestamp),
}

use Field::{Flag, MaybeNumber, MaybeText, Number, Text, Texts, Time};

/// Name and value of each column.
pub(super) const COLUMNS: &[(&str, Field)] = &[
    ("id", Text(|e| e.id.to_string().into())),
    ("gateway", Text(|e| (&e.gateway).into())),
    ("began_at", Time(|e| e.began_at)),
    ("outcome", Text(|e| e.outcome.as_str().into())),
    ("integrity", Text(|e| e.integrity.as_str().into())),
    ("record", Text(|e| e.record.as_str().into())),
    ("method", Text(|e| (&e.method).into())),
    ("path", Text(|e| (&e.path).into())),
    ("status", MaybeNumber(|e| e.status.map(u64::from))),
    ("error", MaybeText(|e| e.error.as_deref())),
    ("app", MaybeText(|e| e.caller.app.as_deref())),
    ("project", MaybeText(|e| e.caller.project.as_deref())),
    ("key", MaybeText(|e| e.caller.key.as_deref())),
    ("owner", MaybeText(|e| e.caller.owner.as_deref())),
    ("credential", MaybeText(|e| e.caller.credential.as_deref())),
    ("client_address", MaybeText(|e| e.caller.client_address.as_deref())),
    ("provider", Text(|e| (&e.provider).into())),
    ("provider_dialect", Text(|e| e.provider_dialect.as_str().into())),
    ("dialect", Text(|e| e.dialect.as_str().into())),
    ("provider_request_id", MaybeText(|e| e.provider_request_id.as_deref())),
    ("model_asked", MaybeText(|e| e.model_asked.as_deref())),
    ("model_served", MaybeText(|e| e.model_served.as_deref())),
    ("session", MaybeText(|e| e.session.as_deref())),
    ("tags", Texts(|e| &e.tags)),
    ("trace_id", MaybeText(|e| e.trace_id.as_deref())),
    ("streamed", Flag(|e| e.streamed)),
    ("finish_reason", MaybeText(|e| e.finish_reason.as_deref())),
    ("tools_called", Texts(|e| &e.tools_called)),
    ("first_byte_us", MaybeNumber(|e| e.first_byte_us)),
    ("first_token_us", MaybeNumber(|e| e.first_token_us)),
    ("duration_us", MaybeNumber(|e| e.duration_us)),
    ("relay_us", MaybeNumber(|e| e.relay_us)),
    ("input_tokens", MaybeNumber(|e| e.usage.input_tokens)),
    ("output_tokens", MaybeNumber(|e| e.usage.output_tokens)),
    ("total_tokens", MaybeNumber(|e| e.usage.total())),
    ("cache_read_tokens", MaybeNumber(|e| e.usage.cache_read_tokens)),
    ("cache_write_tokens", MaybeNumber(|e| e.usage.cache_write_tokens)),
    ("reasoning_tokens", MaybeNumber(|e| e.usage.reasoning_tokens)),
    ("provenance", MaybeText(|e| e.usage.provenance.map(|from| from.as_str()))),
    ("cost_micros", MaybeNumber(|e| e.cost_micros)),
    ("price_version", MaybeText(|e| e.price_version.as_deref())),
    ("asked_preview", Text(|e| (&e.asked_preview).into())),
    ("answered_preview", Text(|e| (&e.answered_preview).into())),
    ("request_bytes", Number(|e| e.request_bytes)),
    ("response_bytes", Number(|e| e.response_bytes)),
    ("lost_bytes", Number(|e| e.lost_bytes)),
];

#[cfg(test)]
mod tests {
    use verbatim_testkit::ExchangeBuilder;

    use super::*;
    use crate::api::ExchangeBody;

    /// So that a field that the API gains is not forgotten here.
    #[test]
    fn the_columns_are_the_fields_of_the_api() {
        let body = ExchangeBody::from(ExchangeBuilder::minted().exchange());
        let json = serde_json::to_string(&body).unwrap();
        let mut at = 0;
        for (name, _) in COLUMNS {
            let key = format!("\"{name}\":");
            at += json[at..].find(&key).unwrap_or_else(|| panic!("{name} is not there, or elsewhere"));
        }
        let fields = serde_json::to_value(&body).unwrap().as_object().unwrap().len();
        assert_eq!(COLUMNS.len(), fields);
    }
}
