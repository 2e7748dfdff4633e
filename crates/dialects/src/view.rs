//! What a reading is made from.

use verbatim_core::model::{
    Dialect, Exchange, ExchangeHeads, Headers, Integrity, Leg, LegBody, Outcome, ProviderDialect,
};

/// The bytes of one exchange, as they travelled between the provider and whoever spoke its dialect.
#[derive(Debug, Clone, Copy)]
pub struct ExchangeView<'a> {
    /// The wire language that the provider speaks.
    pub provider_dialect: ProviderDialect,
    /// The wire language of this exchange; see [`crate::detect`].
    pub dialect: Dialect,
    /// HTTP method.
    pub method: &'a str,
    /// Path and query as the client asked for them.
    pub path: &'a str,
    /// Headers of the request.
    pub request_headers: &'a Headers,
    /// Body of the request; for a tunnel, what the client sent after the answer's head.
    pub request_body: &'a [u8],
    /// Status of the answer; `None` where there was none.
    pub status: Option<u16>,
    /// Headers of the answer.
    pub response_headers: &'a Headers,
    /// Body of the answer as it was on the wire (compressed, cut).
    pub response_body: &'a [u8],
    /// Whether the answer's body ended regularly.
    pub response_complete: bool,
}

impl<'a> ExchangeView<'a> {
    /// The view of an exchange whose columns, heads and bodies are known, as far as they are.
    ///
    /// Of each direction the leg is read that speaks the provider's language: the upstream one where there are bytes of
    /// it, since it is stored only where it differs, else the application's. The answer counts as complete where the
    /// outcome says that it ended, and every byte of it is there.
    pub fn of(exchange: &'a Exchange, heads: &'a ExchangeHeads, bodies: &'a [LegBody]) -> Self {
        let body = |upstream: Leg| {
            let stored = |leg| bodies.iter().find(|body| body.info.leg == leg && !body.bytes.is_empty());
            stored(upstream).or_else(|| stored(upstream.counterpart()))
        };
        let response = body(Leg::UpstreamResponse);
        let ended = matches!(exchange.outcome, Outcome::Completed | Outcome::UpstreamError);
        let holds_all = response.is_none_or(|body| body.info.stored == body.info.length);
        Self {
            provider_dialect: exchange.provider_dialect,
            dialect: exchange.dialect,
            method: &exchange.method,
            path: &exchange.path,
            request_headers: &heads.request.headers,
            request_body: body(Leg::UpstreamRequest).map_or(&[], |body| &body.bytes),
            status: exchange.status,
            response_headers: heads.response_headers(),
            response_body: response.map_or(&[], |body| &body.bytes),
            response_complete: ended && holds_all && exchange.integrity != Integrity::Damaged,
        }
    }
}

#[cfg(test)]
mod tests {
    use verbatim_core::model::ExchangeRecord;
    use verbatim_testkit::ExchangeBuilder;

    use super::*;

    fn answered() -> ExchangeBuilder {
        ExchangeBuilder::minted().request("asked").response("answered")
    }

    fn view(record: &ExchangeRecord) -> ExchangeView<'_> {
        ExchangeView::of(&record.exchange, &record.heads, &record.bodies)
    }

    #[test]
    fn the_leg_that_speaks_the_providers_language_is_read() {
        let record = answered().body(Leg::UpstreamRequest, "translated", Default::default()).build();
        assert_eq!(
            (view(&record).request_body, view(&record).response_body),
            (&b"translated"[..], &b"answered"[..])
        );
        let nothing = ExchangeBuilder::minted().build();
        assert_eq!((view(&nothing).request_body, view(&nothing).response_body), (&b""[..], &b""[..]));
    }

    #[test]
    fn an_answer_is_complete_that_ended_with_all_of_its_bytes() {
        let complete = |record: &ExchangeRecord| view(record).response_complete;
        assert!(complete(&answered().build()));
        let with = |outcome, integrity| {
            answered().with(|exchange| (exchange.outcome, exchange.integrity) = (outcome, integrity)).build()
        };
        assert!(complete(&with(Outcome::UpstreamError, Integrity::Whole)));
        assert!(!complete(&with(Outcome::UpstreamAborted, Integrity::Whole)));
        assert!(!complete(&with(Outcome::Completed, Integrity::Damaged)));
        let mut lossy = with(Outcome::Completed, Integrity::Partial);
        assert!(complete(&lossy), "only bytes of the request are missing");
        for body in &mut lossy.bodies {
            body.info.length += 1;
        }
        assert!(!complete(&lossy));
    }
}
