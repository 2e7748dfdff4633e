//! Calls that are under way.

use std::time::Instant;

use bytes::Bytes;
use verbatim_core::model::{
    Caller, Dialect, Exchange, ExchangeId, Headers, Integrity, Outcome, ProviderDialect, RecordMode,
    Timestamp, Usage,
};
use verbatim_core::ports::Message;
use verbatim_dialects::{ExchangeView, Reading, guarded};
use verbatim_proto::v1;

/// Messages up to this size are kept until someone asks what they say; of larger ones the body is let go at once.
const KEPT_BYTES: usize = 16 * 1024;

/// A call that is under way.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) since: Instant,
    /// Whether onlookers were told of it.
    pub(super) told: bool,
    start: Start,
}

#[derive(Debug)]
enum Start {
    Message(Bytes),
    Known(Box<Exchange>),
    Unreadable,
}

impl Running {
    pub(super) fn new(message: &Message, since: Instant) -> Self {
        let start = if message.payload.len() <= KEPT_BYTES {
            Start::Message(message.payload.clone())
        } else {
            exchange_of(message.payload.clone(), false).map_or(Start::Unreadable, Start::Known)
        };
        Self { since, told: false, start }
    }

    /// What is known of it so far.
    pub(super) fn exchange(&mut self) -> Option<&Exchange> {
        if let Start::Message(payload) = &self.start {
            self.start = exchange_of(payload.clone(), true).map_or(Start::Unreadable, Start::Known);
        }
        match &self.start {
            Start::Known(exchange) => Some(exchange),
            Start::Message(_) | Start::Unreadable => None,
        }
    }
}

fn exchange_of(payload: Bytes, with_preview: bool) -> Option<Box<Exchange>> {
    let decoded = verbatim_proto::decode(payload).ok()?;
    let v1::envelope::Message::Start(start) = decoded.message else { return None };
    let (mut exchange, headers, body) = provisional(decoded.exchange, decoded.gateway, start);
    say(&mut exchange, &headers, if with_preview { &body } else { &[] }, verbatim_dialects::read);
    Some(Box::new(exchange.within_limits()))
}

/// The record of a call as far as its start tells, and what there is of its request.
fn provisional(id: ExchangeId, gateway: String, start: v1::Start) -> (Exchange, Headers, Bytes) {
    let provider_dialect = u8::try_from(start.provider_dialect)
        .ok()
        .and_then(ProviderDialect::from_number)
        .unwrap_or(ProviderDialect::Raw);
    let caller = start.caller.unwrap_or_default();
    let body = start.request.map(|piece| piece.data).unwrap_or_default();
    let exchange = Exchange {
        id,
        gateway,
        began_at: Timestamp::from_unix_us(start.began_unix_us),
        outcome: Outcome::Running,
        integrity: Integrity::Whole,
        record: u8::try_from(start.record).ok().and_then(RecordMode::from_number).unwrap_or(RecordMode::Full),
        method: start.method,
        path: start.path,
        status: None,
        error: None,
        caller: Caller {
            app: caller.app,
            project: caller.project,
            key: caller.key,
            owner: caller.owner,
            credential: caller.credential,
            client_address: caller.client_address,
        },
        provider: start.provider,
        provider_dialect,
        dialect: Dialect::Raw,
        provider_request_id: None,
        model_asked: start.model_asked,
        model_served: None,
        session: start.session,
        tags: start.tags,
        trace_id: start.trace_id,
        streamed: start.stream_asked.unwrap_or(false),
        finish_reason: None,
        tools_called: Vec::new(),
        first_byte_us: None,
        first_token_us: None,
        duration_us: None,
        relay_us: None,
        usage: Usage::default(),
        cost_micros: None,
        price_version: None,
        asked_preview: String::new(),
        answered_preview: String::new(),
        request_bytes: body.len() as u64,
        response_bytes: 0,
        lost_bytes: 0,
    };
    let headers = v1::read_headers(start.headers);
    (exchange, headers, body)
}

/// Adds what the bytes of a request say. A call whose bytes can't be read is shown without, and nothing else comes to
/// harm.
fn say(exchange: &mut Exchange, headers: &Headers, body: &[u8], read: fn(&ExchangeView<'_>) -> Reading) {
    let said = guarded(|| {
        let Exchange { provider_dialect, method, path, .. } = &*exchange;
        let dialect = verbatim_dialects::detect(*provider_dialect, method, path);
        let reading = (!body.is_empty()).then(|| {
            read(&ExchangeView {
                provider_dialect: *provider_dialect,
                dialect,
                method,
                path,
                request_headers: headers,
                request_body: body,
                status: None,
                response_headers: &Headers::default(),
                response_body: &[],
                response_complete: false,
            })
        });
        let preview = reading.as_ref().map(verbatim_dialects::text::asked_preview);
        (dialect, preview.unwrap_or_default(), reading.and_then(|reading| reading.model_asked))
    });
    if let Ok((dialect, asked_preview, model_asked)) = said {
        exchange.dialect = dialect;
        exchange.asked_preview = asked_preview;
        exchange.model_asked = exchange.model_asked.take().or(model_asked);
    }
}

#[cfg(test)]
mod tests {
    use verbatim_proto::piece;

    use super::*;

    fn call() -> (Exchange, Headers, Bytes) {
        let body = Bytes::from_static(br#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#);
        let request = Some(piece(verbatim_core::model::Leg::ClientRequest, 0, body, &[]));
        let (method, path) = ("POST".to_owned(), "/v1/chat/completions".to_owned());
        let start = v1::Start { method, path, provider_dialect: 1, request, ..v1::Start::default() };
        provisional(ExchangeId::mint(), "gateway".to_owned(), start)
    }

    #[test]
    fn what_was_asked_is_shown_while_the_call_runs() {
        let (mut exchange, headers, body) = call();
        say(&mut exchange, &headers, &body, verbatim_dialects::read);
        assert_eq!((exchange.asked_preview.as_str(), exchange.model_asked.as_deref()), ("Hi", Some("m")));
    }

    #[test]
    fn a_call_that_reading_fails_over_is_shown_without_what_it_says() {
        let (mut exchange, headers, body) = call();
        say(&mut exchange, &headers, &body, |_| panic!("a fault in a dialect"));
        assert_eq!((exchange.asked_preview.as_str(), exchange.path.as_str()), ("", "/v1/chat/completions"));
    }
}
