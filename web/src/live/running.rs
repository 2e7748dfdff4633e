//! Calls that are under way.

use std::time::Instant;

use bytes::Bytes;
use verbatim_core::model::{
    Caller, Dialect, Exchange, ExchangeId, Headers, Integrity, Outcome, ProviderDialect, RecordMode,
    Timestamp, Usage,
};
use verbatim_core::ports::Message;
use verbatim_dialects::ExchangeView;
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
    Some(Box::new(provisional(decoded.exchange, decoded.gateway, start, with_preview)))
}

/// The record of a call as far as its start tells.
fn provisional(id: ExchangeId, gateway: String, start: v1::Start, with_preview: bool) -> Exchange {
    let provider_dialect = u8::try_from(start.provider_dialect)
        .ok()
        .and_then(ProviderDialect::from_number)
        .unwrap_or(ProviderDialect::Raw);
    let caller = start.caller.unwrap_or_default();
    let body = start.request.map(|piece| piece.data).unwrap_or_default();
    let mut exchange = Exchange {
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
    let headers = Headers(start.headers.into_iter().map(|header| (header.name, header.value)).collect());
    exchange.dialect = verbatim_dialects::detect(provider_dialect, &exchange.method, &exchange.path);
    if with_preview && !body.is_empty() {
        let reading = verbatim_dialects::read(&ExchangeView {
            provider_dialect,
            dialect: exchange.dialect,
            method: &exchange.method,
            path: &exchange.path,
            request_headers: &headers,
            request_body: &body,
            status: None,
            response_headers: &Headers::default(),
            response_body: &[],
            response_complete: false,
        });
        exchange.asked_preview = verbatim_dialects::text::asked_preview(&reading);
        exchange.model_asked = exchange.model_asked.or(reading.model_asked);
    }
    exchange
}
