//! The one who answers for an exchange: however a call goes, it ends in exactly one end.

use std::sync::Arc;

use http::{HeaderMap, Version};
use verbatim_core::model::{Attempt, Leg, Outcome, RecordMode};

use super::{Asked, EndFacts, EndWithheld, Exchange, HeadBytes, HeadFacts};
use crate::redact::Redactor;
use crate::scan::Scan;

/// A call under way. Dropping it before it was ended tells that its caller left, that a
/// time ran out, or that the gateway stopped.
#[derive(Debug)]
pub(crate) struct Call {
    exchange: Arc<Exchange>,
    end: Option<Box<EndFacts>>,
}

impl Call {
    pub(crate) fn new(exchange: Arc<Exchange>, provider: String) -> Self {
        let end = EndFacts {
            outcome: Outcome::ClientAborted,
            status: None,
            error: None,
            duration_us: 0,
            first_byte_us: None,
            relay_us: None,
            attempts: Vec::new(),
            trailers: None,
            notes: Vec::new(),
            facts: Vec::new(),
            provider,
        };
        Self { exchange, end: Some(Box::new(end)) }
    }

    pub(crate) const fn exchange(&self) -> &Arc<Exchange> {
        &self.exchange
    }

    /// Whether it was ended.
    pub(crate) const fn is_over(&self) -> bool {
        self.end.is_none()
    }

    /// Adds to what its end will say; nothing once it was ended.
    pub(crate) fn note(&mut self, with: impl FnOnce(&mut EndFacts)) {
        if let Some(end) = &mut self.end {
            with(end);
        }
    }

    /// Notes a try to reach the provider.
    pub(crate) fn attempt(&mut self, attempt: Attempt) {
        self.note(|end| {
            // Most calls have one.
            end.attempts.reserve_exact(1);
            end.attempts.push(attempt);
        });
    }

    /// Records the head of the answer that the caller gets.
    pub(crate) fn answer_head(
        &mut self,
        version: Version,
        status: u16,
        headers: &HeaderMap,
        redactor: &Redactor,
    ) {
        self.exchange.head(HeadFacts {
            leg: Leg::ClientResponse,
            version: version_name(version),
            status,
            headers: self.shown(headers, redactor),
            at_us: self.exchange.now_us(),
        });
        self.note(|end| end.status = Some(status));
    }

    /// Records what follows the answer's body.
    pub(crate) fn trailers(&mut self, trailers: &HeaderMap, redactor: &Redactor) {
        let shown = self.shown(trailers, redactor);
        self.note(|end| end.trailers = Some(shown));
    }

    /// Headers as they are recorded of this call.
    fn shown(&self, headers: &HeaderMap, redactor: &Redactor) -> HeadBytes {
        match self.exchange.mode() {
            RecordMode::Off => HeadBytes::default(),
            RecordMode::Full | RecordMode::Meta => redactor.head(headers),
        }
    }

    /// Notes when the first byte of the answer's body passed.
    pub(crate) fn first_byte(&mut self) {
        let now = self.exchange.now_us();
        self.note(|end| end.first_byte_us = end.first_byte_us.or(Some(now)));
    }

    /// Ends it.
    pub(crate) fn end(&mut self, outcome: Outcome, error: Option<String>) {
        if let Some(mut end) = self.end.take() {
            end.outcome = outcome;
            end.error = error;
            end.duration_us = self.exchange.now_us();
            self.exchange.end(*end);
        }
    }

    /// Notes that it is dropped after it was ended, but before its caller had the end.
    pub(crate) fn dropped_before_its_end(&self) {
        let (outcome, why) = self.why_dropped();
        self.exchange.withhold_end(EndWithheld { outcome, why, status: None });
    }

    /// What it means that it is dropped before it is over.
    fn why_dropped(&self) -> (Outcome, String) {
        let (outcome, why) = if let Some(why) = self.exchange.overdue() {
            (Outcome::TimedOut, why)
        } else if self.exchange.is_interrupted() {
            (Outcome::Interrupted, "the gateway shut down before the call was over")
        } else {
            (Outcome::ClientAborted, "the caller left before the call was over")
        };
        (outcome, why.to_owned())
    }

    /// Ends it as the answer's status says.
    pub(crate) fn end_answered(&mut self) {
        let status = self.end.as_ref().and_then(|end| end.status);
        let failed = status.is_some_and(|status| status >= 400);
        self.end(if failed { Outcome::UpstreamError } else { Outcome::Completed }, None);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.is_over() {
            return;
        }
        let (outcome, why) = self.why_dropped();
        self.end(outcome, Some(why));
    }
}

/// Tells the exchange what a scan found.
pub(crate) fn settle_scan(exchange: &Exchange, scan: &Scan) {
    exchange.set_asked(Asked { model: scan.model().map(str::to_owned), stream: scan.stream() });
}

/// The name of an HTTP version.
pub(crate) fn version_name(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}
