//! The beginning of a call: what of its head is recorded.

use std::borrow::Cow;
use std::time::Instant;

use http::Uri;
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use verbatim_core::model::{Caller, ExchangeId, ProviderDialect, RecordMode};
use verbatim_listen::caller_address;

use super::{Peer, Relay};
use crate::caller;
use crate::capture::{Call, Exchange, HeadBytes, StartFacts, version_name};
use crate::config::{CaptureMode, Provider};
use crate::credentials;

/// What is known of a call before it goes anywhere.
pub(super) struct Beginning<'a> {
    pub(super) peer: &'a Peer,
    pub(super) began: Instant,
    pub(super) head: &'a Parts,
    pub(super) session: Option<&'a str>,
    pub(super) mode: RecordMode,
    pub(super) provider: Option<&'a Provider>,
    pub(super) dialect: ProviderDialect,
    pub(super) uri: Option<&'a Uri>,
}

impl Relay {
    /// Mints the exchange and records its start.
    pub(super) fn begin(&self, beginning: &Beginning<'_>) -> Call {
        let provider = beginning.provider.map_or(String::new(), |provider| provider.name.clone());
        let facts = self.start_facts(beginning, provider.clone());
        let required = self.capture == CaptureMode::Required;
        let id = ExchangeId::mint();
        let exchange = Exchange::begin(&self.queue, id, beginning.began, beginning.mode, required, facts);
        Call::new(exchange, provider)
    }

    fn start_facts(&self, beginning: &Beginning<'_>, provider: String) -> StartFacts {
        let Beginning { peer, head, session, mode, dialect, uri, .. } = beginning;
        let mut facts = StartFacts {
            began_at: self.clock.now(),
            method: head.method.as_str().to_owned(),
            path: self.redactor.path(asked_path(head)).into_owned(),
            version: version_name(head.version),
            headers: HeadBytes::default(),
            caller: Caller::default(),
            provider,
            dialect: *dialect,
            upstream_url: String::new(),
            session: None,
            tags: Vec::new(),
            trace_id: None,
        };
        if *mode == RecordMode::Off {
            return facts;
        }
        let headers = &head.headers;
        facts.headers = self.redactor.head(headers);
        facts.caller = Caller {
            app: caller::app(headers),
            project: caller::project(headers),
            key: None,
            owner: None,
            credential: credentials::of_caller(headers, head.uri.query())
                .map(|credential| self.redactor.hash(&credential)),
            client_address: Some(caller_address(peer.address, &self.trusted_proxies, headers).to_string()),
        };
        facts.upstream_url = uri.map_or(String::new(), |uri| self.shown(uri));
        facts.session = caller::session(*session, headers);
        facts.tags = caller::tags(headers);
        facts.trace_id = caller::trace_id(headers);
        facts
    }

    /// A provider's URL, which is absolute, as it is recorded.
    pub(super) fn shown(&self, uri: &Uri) -> String {
        // Put together at once: its `Display` would grow a string four times.
        let scheme = uri.scheme_str().unwrap_or_default();
        let host = uri.authority().map_or("", Authority::as_str);
        let asked = uri.path_and_query().map_or("", PathAndQuery::as_str);
        let url = [scheme, "://", host, asked].concat();
        match self.redactor.path(&url) {
            Cow::Owned(shown) => shown,
            Cow::Borrowed(_) => url,
        }
    }
}

fn asked_path(head: &Parts) -> &str {
    head.uri.path_and_query().map_or("", |path| path.as_str())
}
