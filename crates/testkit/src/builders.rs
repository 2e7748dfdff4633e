//! Records with plausible columns, of which a test says only what it is about.

use bytes::Bytes;
use verbatim_core::model::{
    Attempt, Caller, Dialect, Exchange, ExchangeHeads, ExchangeId, ExchangeRecord, Headers, Integrity, Leg,
    LegBody, LegInfo, MessageHead, Outcome, ProviderDialect, RecordMode, SearchDocument, Timeline, Usage,
};

/// Builds the record of a completed chat call without bodies, unless told otherwise.
#[derive(Debug, Clone)]
pub struct ExchangeBuilder {
    record: ExchangeRecord,
}

impl ExchangeBuilder {
    /// A record with this id, begun when the id was minted.
    pub fn new(id: ExchangeId) -> Self {
        let exchange = Exchange {
            id,
            gateway: "gateway-test".to_owned(),
            began_at: id.time(),
            outcome: Outcome::Completed,
            integrity: Integrity::Whole,
            record: RecordMode::Full,
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            status: Some(200),
            error: None,
            caller: Caller::default(),
            provider: "openai".to_owned(),
            provider_dialect: ProviderDialect::Openai,
            dialect: Dialect::OpenaiChat,
            provider_request_id: None,
            model_asked: Some("gpt-4o".to_owned()),
            model_served: Some("gpt-4o-2024-11-20".to_owned()),
            session: None,
            tags: Vec::new(),
            trace_id: None,
            streamed: false,
            finish_reason: Some("stop".to_owned()),
            tools_called: Vec::new(),
            first_byte_us: Some(200_000),
            first_token_us: None,
            duration_us: Some(1_000_000),
            relay_us: Some(100),
            usage: Usage {
                input_tokens: Some(10),
                output_tokens: Some(20),
                total_tokens: Some(30),
                ..Usage::default()
            },
            cost_micros: None,
            price_version: None,
            asked_preview: String::new(),
            answered_preview: String::new(),
            request_bytes: 0,
            response_bytes: 0,
            lost_bytes: 0,
        };
        let head = |status| {
            let mut headers = Headers::default();
            headers.push("content-type", "application/json");
            MessageHead { version: "HTTP/1.1".to_owned(), status, headers, ..MessageHead::default() }
        };
        let heads = ExchangeHeads {
            request: head(None),
            response: Some(head(Some(200))),
            attempts: vec![Attempt {
                provider: "openai".to_owned(),
                url: "https://api.openai.com/v1/chat/completions".to_owned(),
                status: Some(200),
                error: None,
                started_us: 50,
                ended_us: Some(200_000),
            }],
            ..ExchangeHeads::default()
        };
        Self { record: ExchangeRecord { exchange, heads, bodies: Vec::new() } }
    }

    /// A record that is minted now.
    pub fn minted() -> Self {
        Self::new(ExchangeId::mint())
    }

    /// With columns changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Exchange)) -> Self {
        change(&mut self.record.exchange);
        self
    }

    /// With heads changed.
    #[must_use]
    pub fn with_heads(mut self, change: impl FnOnce(&mut ExchangeHeads)) -> Self {
        change(&mut self.record.heads);
        self
    }

    /// With the application's request.
    #[must_use]
    pub fn request(self, body: impl Into<Bytes>) -> Self {
        self.body(Leg::ClientRequest, body, Timeline::default())
    }

    /// With the answer that the application got.
    #[must_use]
    pub fn response(self, body: impl Into<Bytes>) -> Self {
        self.body(Leg::ClientResponse, body, Timeline::default())
    }

    /// With the whole body of a leg.
    #[must_use]
    pub fn body(mut self, leg: Leg, body: impl Into<Bytes>, timeline: Timeline) -> Self {
        let bytes = body.into();
        let length = bytes.len() as u64;
        let hash = Some(*blake3::hash(&bytes).as_bytes());
        let info = LegInfo { leg, length, stored: length, hash, stored_hash: hash, lost: 0 };
        match leg {
            Leg::ClientRequest => self.record.exchange.request_bytes = length,
            Leg::ClientResponse => self.record.exchange.response_bytes = length,
            Leg::UpstreamRequest | Leg::UpstreamResponse => {}
        }
        self.record.heads.legs.push(info.clone());
        self.record.bodies.push(LegBody { info, bytes, timeline });
        self
    }

    /// The record.
    pub fn build(self) -> ExchangeRecord {
        self.record
    }

    /// Its columns alone.
    pub fn exchange(self) -> Exchange {
        self.record.exchange
    }

    /// A search document with its columns, this question and this answer.
    pub fn document(self, asked: &str, answered: &str) -> SearchDocument {
        SearchDocument {
            exchange: self.record.exchange,
            asked: asked.to_owned(),
            answered: answered.to_owned(),
            reasoning: String::new(),
            tools: String::new(),
            system: String::new(),
            error: String::new(),
        }
    }
}
