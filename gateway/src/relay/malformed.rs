//! What came was no HTTP: hyper has answered it, and here it is recorded.

use std::error::Error;
use std::time::Instant;

use http::StatusCode;
use verbatim_core::model::{Caller, ExchangeId, Outcome, ProviderDialect, RecordMode};

use super::{Peer, Relay};
use crate::capture::{Call, Exchange, HeadBytes, StartFacts};
use crate::upstream::chain;

impl Relay {
    /// A caller's connection ended with an error. If that was a request that can't be read, it is recorded as
    /// refused; others belong to calls that have their records.
    pub(crate) fn connection_failed(
        &self,
        peer: &Peer,
        now: Instant,
        error: &(dyn Error + Send + Sync + 'static),
    ) {
        let Some(error) = error.downcast_ref::<hyper::Error>() else { return };
        if !error.is_parse() {
            tracing::debug!(%error, "a caller's connection ended early");
            return;
        }
        let facts = StartFacts {
            began_at: self.clock.now(),
            method: String::new(),
            path: String::new(),
            version: "HTTP/1.1",
            headers: HeadBytes::default(),
            caller: Caller { client_address: Some(peer.address.to_string()), ..Caller::default() },
            provider: String::new(),
            dialect: ProviderDialect::Raw,
            upstream_url: String::new(),
            session: None,
            tags: Vec::new(),
            trace_id: None,
        };
        let id = ExchangeId::mint();
        let exchange = Exchange::begin(&self.queue, id, now, RecordMode::Full, false, facts);
        let mut call = Call::new(exchange, String::new());
        let status = if error.is_parse_too_large() {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
        } else {
            StatusCode::BAD_REQUEST
        };
        call.note(|end| end.status = Some(status.as_u16()));
        call.end(Outcome::Refused, Some(format!("not a request: {}", chain(error))));
    }
}
